"""Analyse one audio file by segment: decode, cut, extract. Caches and predictions share this code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from data.analysis.embeddings import segment_vectors
from data.analysis.feature_names import FEATURES
from data.analysis.features import extract
from data.analysis.kinds import EMBEDDING_PREFIX, FEATURE_KIND, SPECTROGRAM_KINDS, Kind, kinds_in
from data.analysis.landmarks import LANDMARK, landmarks
from data.analysis.parameters import Embedding, Parameters, Picture, Windows
from data.analysis.spectrograms import tensors_of, window_frames, window_starts
from data.analysis.stft import Spectrum
from data.audio.decode import LONGEST_SECONDS, Audio, load
from data.audio.region import Region
from data.audio.spectrogram_images import load_picture
from data.errors import AudioError, CacheError

MAX_MOVING = 5_000
"""Maximum number of positions of a moving window; images of that many take more than a gigabyte."""


@dataclass(frozen=True)
class Analysis:
    """What was extracted from one audio file.

    Attributes
    ----------
    audio : Audio
        The decoded file.
    ranges : ndarray of int64, shape (n_segments, 2)
        Start and end of each segment in samples of `audio.y`.
    inputs : dict of str to ndarray
        Rows by kind of input: ``features`` (float64) and ``embedding-NAME`` (float32) have one row per
        segment, ``melspec`` and ``image`` one row per window.
    landmarks : ndarray of LANDMARK, shape (n,)
        Landmarks of the whole track; empty unless requested.
    """

    audio: Audio
    ranges: np.ndarray
    inputs: dict[Kind, np.ndarray]
    landmarks: np.ndarray


def analyse(
    path: str | Path,
    parameters: Parameters,
    *,
    with_features: bool,
    with_landmarks: bool = False,
    encoders: str = "",
    region: Region | None = None,
    longest_s: float = LONGEST_SECONDS,
    hop_s: float | None = None,
) -> Analysis:
    """Decode an audio file, cut it into segments and extract the inputs of each.

    Parameters
    ----------
    path : str or Path
        The file.
    parameters : Parameters
        Parameters of the analysis; the tensors and embeddings that they name are extracted.
    with_features : bool
        Whether to extract the 57 features.
    with_landmarks : bool
        Whether to extract landmarks.
    encoders : str
        Path or URI of the folder of encoders.
    region : Region, optional
        Part of the file to analyse; by default, all of it.
    longest_s : float
        Longest track in seconds; a longer one is refused.
    hop_s : float, optional
        Seconds from the start of a segment to that of the next; see `moving_ranges`. By default, the track is
        cut into equal segments.

    Raises
    ------
    AudioError
        If the file cannot be used; see `data.audio.decode.load`.
    EncoderError
        If an encoder is missing, or fails on the file.
    """
    sample_rate, n_fft, hop_length = parameters.sample_rate, parameters.n_fft, parameters.hop_length
    audio = load(
        path,
        sample_rate=sample_rate,
        min_samples=n_fft,
        other_rates=parameters.embedding_rates,
        region=region,
        longest_s=longest_s,
    )
    if hop_s is None:
        bounds = segment_bounds(len(audio.y), sr=sample_rate, segment_seconds=parameters.segment_seconds)
        ranges = np.column_stack([bounds[:-1], bounds[1:]])
    else:
        ranges = moving_ranges(
            len(audio.y), sr=sample_rate, segment_seconds=parameters.segment_seconds, hop_s=hop_s
        )
        if len(ranges) > MAX_MOVING:
            raise AudioError(
                f"{path}: a hop of {hop_s:g} s gives {len(ranges)} windows, at most {MAX_MOVING}; use a"
                " longer hop"
            )
    # Before the spectra, so that an encoder that fails costs no further work.
    inputs = segment_vectors(
        audio.others, ranges, sr=sample_rate, embeddings=parameters.embeddings, encoders=encoders
    )
    with_tensors = any(getattr(parameters, kind) is not None for kind in SPECTROGRAM_KINDS)
    marks = [np.empty(0, dtype=LANDMARK)]
    if with_features or with_landmarks or with_tensors:
        rows: dict[Kind, list[np.ndarray]] = {}
        for start, end in ranges:
            y = audio.y[start:end]
            spectrum = Spectrum.of(y, sr=sample_rate, n_fft=n_fft, hop_length=hop_length)
            if with_features:
                features = extract(y, sr=sample_rate, n_fft=n_fft, hop_length=hop_length, spectrum=spectrum)
                rows.setdefault(FEATURE_KIND, []).append(features[np.newaxis])
            if with_landmarks:
                marks.append(landmarks(spectrum, first_frame=int(start) // hop_length))
            for kind, windows in tensors_of(spectrum, parameters).items():
                rows.setdefault(kind, []).append(windows)
        inputs |= {kind: np.concatenate(pieces) for kind, pieces in rows.items()}
    return Analysis(audio, ranges, inputs, np.concatenate(marks))


def segment_bounds(n_samples: int, *, sr: int = 22050, segment_seconds: float = 30.0) -> np.ndarray:
    """Bounds of the equal segments of a track; no sample is discarded.

    Returns
    -------
    ndarray of int64, shape (n_segments + 1,)
        Sample numbers; n_segments is the track's length over `segment_seconds`, rounded, and at least 1.
    """
    count = max(1, round(n_samples / sr / segment_seconds))
    return np.round(np.linspace(0, n_samples, count + 1)).astype(np.int64)


def moving_ranges(n_samples: int, *, sr: int, segment_seconds: float, hop_s: float) -> np.ndarray:
    """Start and end of the segments of a window that moves over a track.

    All segments have the same length. If they overlap or touch, the last one ends with the track, so that no
    sample is discarded.

    Parameters
    ----------
    n_samples : int
        Samples of the track.
    sr : int
        Sample rate in Hz.
    segment_seconds : float
        Length of a segment; a shorter track is one segment.
    hop_s : float
        Seconds from the start of a segment to that of the next.

    Returns
    -------
    ndarray of int64, shape (n_segments, 2)
        At least one segment.
    """
    length, hop = min(round(segment_seconds * sr), n_samples), max(1, round(hop_s * sr))
    starts = np.arange(0, n_samples - length + 1, hop, dtype=np.int64)
    if hop <= length and starts[-1] + length < n_samples:
        starts = np.append(starts, n_samples - length)
    return np.column_stack([starts, starts + length])


def of_file(
    path: str | Path,
    parameters: Parameters,
    kind: Kind,
    *,
    encoders: str = "",
    longest_s: float = LONGEST_SECONDS,
    hop_s: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Extract the inputs of one kind from a file: the rows that a cache would hold for it.

    Parameters
    ----------
    path : str or Path
        An audio file, or an image if `parameters.from_pictures`.
    parameters : Parameters
        Parameters of the analysis.
    kind : str
        Kind of input; see `Cache.rows`.
    encoders : str
        Path or URI of the folder of encoders, if `kind` contains an embedding.
    longest_s : float
        Longest track in seconds; a longer one is refused.
    hop_s : float, optional
        Seconds from the start of a row to that of the next; then each row is of `row_seconds`, and windows of
        spectrograms are analysed one by one. By default, the rows are those of a cache.

    Returns
    -------
    X : ndarray, shape (n, ...)
        Rows, one per segment or window.
    start_s : ndarray of float64, shape (n,)
        Start of each row in seconds.

    Raises
    ------
    AudioError
        If the file cannot be used.
    EncoderError
        If an encoder is missing, or fails on the file.
    CacheError
        If the parameters do not name this kind.
    """
    kinds = kinds_in(kind)
    requested = _restricted(parameters, kinds)
    if parameters.from_pictures and requested.image is not None:
        return load_picture(path, size=requested.image.size)[np.newaxis], np.zeros(1)
    if hop_s is not None and kind in SPECTROGRAM_KINDS:
        # A segment per window.
        windows = _windows(requested, kind).model_copy(update={"overlap": 0.0})
        requested = requested.model_copy(update={"segment_seconds": windows.seconds, kind: windows})
    # One thread, as during preparation: the order of additions, and so the rounding, depends on it.
    with _thread_pools().limit(limits=1):
        analysis = analyse(
            path,
            requested,
            with_features=FEATURE_KIND in kinds,
            encoders=encoders,
            longest_s=longest_s,
            hop_s=hop_s,
        )
    if kind in SPECTROGRAM_KINDS:
        return analysis.inputs[kind], _window_seconds(analysis, requested, _windows(requested, kind))
    start_s = analysis.ranges[:, 0] / analysis.audio.sr
    if len(kinds) == 1:
        return analysis.inputs[kind], start_s
    return np.concatenate([analysis.inputs[name].astype(np.float32) for name in kinds], axis=1), start_s


@cache
def _thread_pools() -> ThreadpoolController:
    """Thread pools of the loaded libraries, listed once because that takes milliseconds."""
    return ThreadpoolController()


def row_seconds(parameters: Parameters, kind: Kind) -> float:
    """Length in seconds of the audio of one row of a kind of input: a window, or a segment.

    Raises
    ------
    CacheError
        If the parameters do not name this kind.
    """
    return _windows(parameters, kind).seconds if kind in SPECTROGRAM_KINDS else parameters.segment_seconds


def row_shape(parameters: Parameters, kind: Kind) -> tuple[int, ...]:
    """Shape of one row of a kind of input.

    Raises
    ------
    CacheError
        If the parameters do not name this kind.
    """
    if kind in SPECTROGRAM_KINDS:
        windows = _windows(parameters, kind)
        if isinstance(windows, Picture):
            return (windows.size, windows.size, 3)
        return (windows.n_mels, _frames(windows, parameters))
    widths = [
        len(FEATURES) if name == FEATURE_KIND else _embedding(parameters, name).dimension
        for name in kinds_in(kind)
    ]
    return (sum(widths),)


def _restricted(parameters: Parameters, kinds: Sequence[Kind]) -> Parameters:
    """Return the parameters with only the tensors and embeddings of these kinds."""
    embeddings = {
        kind.removeprefix(EMBEDDING_PREFIX): _embedding(parameters, kind)
        for kind in kinds
        if kind.startswith(EMBEDDING_PREFIX)
    }
    tensors = {kind: _windows(parameters, kind) if kind in kinds else None for kind in SPECTROGRAM_KINDS}
    return parameters.model_copy(update={**tensors, "embeddings": embeddings})


def _embedding(parameters: Parameters, kind: Kind) -> Embedding:
    embedding = parameters.embeddings.get(kind.removeprefix(EMBEDDING_PREFIX))
    if embedding is None:
        raise CacheError(f"the parameters of the analysis name no {kind}; export the model again")
    return embedding


def _windows(parameters: Parameters, kind: Kind) -> Windows:
    windows: Windows | None = getattr(parameters, kind)
    if windows is None:
        raise CacheError(f"the parameters of the analysis name no {kind} tensors; export the model again")
    return windows


def _window_seconds(analysis: Analysis, parameters: Parameters, windows: Windows) -> np.ndarray:
    """Start of each window of a track in seconds."""
    n_frames = _frames(windows, parameters)
    starts = []
    for start, end in analysis.ranges:
        segment_frames = 1 + int(end - start) // parameters.hop_length
        first = window_starts(segment_frames, n_frames, windows.overlap)
        starts.append((start + first * parameters.hop_length) / analysis.audio.sr)
    return np.concatenate(starts)


def _frames(windows: Windows, parameters: Parameters) -> int:
    return window_frames(windows.seconds, sr=parameters.sample_rate, hop_length=parameters.hop_length)
