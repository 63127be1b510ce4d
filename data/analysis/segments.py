"""Inputs of one audio file for a model: the same as a cache would hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from data.analysis.embeddings import segment_vectors
from data.analysis.feature_names import FEATURES
from data.analysis.features import of_audio as features_of_audio
from data.analysis.features import of_file as features_of_file
from data.analysis.features import segment_bounds
from data.analysis.kinds import EMBEDDING_PREFIX, FEATURE_KIND, Kind, kinds_in
from data.analysis.parameters import Embedding, Parameters, Picture, Windows
from data.analysis.spectrograms import tensors_of, window_frames, window_starts
from data.analysis.stft import Spectrum
from data.audio.decode import LONGEST_SECONDS, load
from data.audio.spectrogram_images import load_picture
from data.errors import CacheError


def of_file(
    path: str | Path,
    parameters: Parameters,
    kind: Kind,
    *,
    encoders: str = "",
    longest_s: float = LONGEST_SECONDS,
) -> tuple[np.ndarray, np.ndarray]:
    """Extract the inputs of one kind from a file, with the code that prepares caches.

    Parameters
    ----------
    path : str or Path
        An audio file, or an image if `parameters.from_pictures`.
    parameters : Parameters
        How to analyse.
    kind : str
        What to give; see `Cache.rows`.
    encoders : str
        Folder of the files of the encoders, where `kind` is an embedding.
    longest_s : float
        Longest track in seconds.

    Returns
    -------
    X : ndarray, shape (n, ...)
        Rows as a cache of these parameters holds them.
    start_s : ndarray of float64, shape (n,)
        Start of each row in seconds.

    Raises
    ------
    AudioError
        If the file cannot be used.
    EncoderError
        If an encoder is missing, or fails on the file.
    CacheError
        If the parameters have no tensors of that kind.
    """
    from threadpoolctl import threadpool_limits

    # One thread, as in the preparation: several would add in another order.
    with threadpool_limits(1):
        if kind == FEATURE_KIND:
            return features_of_file(path, parameters, longest_s=longest_s)
        if _embedded(kind):
            return _segments(path, parameters, kinds_in(kind), encoders, longest_s)
        return _tensors(path, parameters, kind, longest_s)


def _embedded(kind: Kind) -> bool:
    """Whether a kind is embeddings, or embeddings and features."""
    return any(each.startswith(EMBEDDING_PREFIX) for each in kinds_in(kind))


def _segments(
    path: str | Path, parameters: Parameters, kinds: Sequence[Kind], encoders: str, longest_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Features and vectors of each segment, side by side in the order of the kinds."""
    embeddings = {
        kind.removeprefix(EMBEDDING_PREFIX): _embedding(parameters, kind)
        for kind in kinds
        if kind != FEATURE_KIND
    }
    audio = load(
        path,
        sample_rate=parameters.sample_rate,
        min_samples=parameters.n_fft,
        other_rates={embedding.sample_rate for embedding in embeddings.values()},
        longest_s=longest_s,
    )
    bounds = segment_bounds(len(audio.y), sr=audio.sr, segment_seconds=parameters.segment_seconds)
    parts = segment_vectors(audio.others, bounds, sr=audio.sr, embeddings=embeddings, encoders=encoders)
    if FEATURE_KIND in kinds:
        parts[FEATURE_KIND] = features_of_audio(audio, parameters)[0].astype(np.float32)
    return np.concatenate([parts[kind] for kind in kinds], axis=1), bounds[:-1] / audio.sr


def _embedding(parameters: Parameters, kind: Kind) -> Embedding:
    embedding = parameters.embeddings.get(kind.removeprefix(EMBEDDING_PREFIX))
    if embedding is None:
        raise CacheError(f"the parameters of the analysis name no {kind}; export the model again")
    return embedding


def _tensors(
    path: str | Path, parameters: Parameters, kind: Kind, longest_s: float
) -> tuple[np.ndarray, np.ndarray]:
    wanted = _wanted(parameters, kind)
    if parameters.from_pictures and isinstance(wanted, Picture):
        return load_picture(path, size=wanted.size)[np.newaxis], np.zeros(1)
    audio = load(path, sample_rate=parameters.sample_rate, min_samples=parameters.n_fft, longest_s=longest_s)
    bounds = segment_bounds(len(audio.y), sr=audio.sr, segment_seconds=parameters.segment_seconds)
    only = parameters.model_copy(update={"melspec": None, "image": None, kind: wanted})
    frames = _frames(wanted, parameters)
    found, start_s = [], []
    for start, end in pairwise(bounds):
        spectrum = Spectrum.of(
            audio.y[start:end], sr=audio.sr, n_fft=parameters.n_fft, hop_length=parameters.hop_length
        )
        found.append(tensors_of(spectrum, only)[kind])
        first = window_starts(len(spectrum.power), frames, wanted.overlap)
        start_s.append((start + first * parameters.hop_length) / audio.sr)
    return np.concatenate(found), np.concatenate(start_s)


def row_shape(parameters: Parameters, kind: Kind) -> tuple[int, ...]:
    """Shape of one row of a kind.

    Raises
    ------
    CacheError
        If the parameters have no tensors of that kind.
    """
    if kind == FEATURE_KIND:
        return (len(FEATURES),)
    if _embedded(kind):
        widths = [
            len(FEATURES) if each == FEATURE_KIND else _embedding(parameters, each).dimension
            for each in kinds_in(kind)
        ]
        return (sum(widths),)
    wanted = _wanted(parameters, kind)
    if isinstance(wanted, Picture):
        return (wanted.size, wanted.size, 3)
    return (wanted.n_mels, _frames(wanted, parameters))


def _wanted(parameters: Parameters, kind: Kind) -> Windows:
    wanted: Windows | None = getattr(parameters, kind)
    if wanted is None:
        raise CacheError(f"the parameters of the analysis name no {kind} tensors; export the model again")
    return wanted


def _frames(wanted: Windows, parameters: Parameters) -> int:
    return window_frames(wanted.seconds, sr=parameters.sample_rate, hop_length=parameters.hop_length)
