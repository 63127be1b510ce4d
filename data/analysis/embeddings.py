"""Encode segments with pretrained encoders, each opened once per process."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from data.analysis.encoders.base import Encoder
from data.analysis.encoders.catalogue import MUSICNN, copied_files, open_encoder
from data.analysis.encoders.pooling import pool
from data.analysis.kinds import EMBEDDING_PREFIX
from data.analysis.parameters import Embedding
from data.errors import EncoderError
from data.io.keras_import import import_keras
from data.io.runtime import Runtime, network_runtime

ENCODERS = "encoders"
"""Folder of a cache or an export that contains one folder per encoder."""
_MAX_OPEN_ENCODERS = 4
"""Maximum number of encoders that a process keeps open."""


def segment_vectors(
    audio: Mapping[int, np.ndarray],
    ranges: np.ndarray,
    *,
    sr: int,
    embeddings: Mapping[str, Embedding],
    encoders: str,
) -> dict[str, np.ndarray]:
    """Encode the segments of a track.

    Parameters
    ----------
    audio : mapping of int to ndarray of float32, shape (n,)
        Mono samples by rate in Hz, including the rates of the encoders.
    ranges : ndarray of int64, shape (n_segments, 2)
        Start and end of the segments in samples at the rate `sr`.
    sr : int
        Rate in Hz of `ranges`.
    embeddings : mapping of str to Embedding
        Parameters of the embeddings, by the encoder's name.
    encoders : str
        Path or URI of the folder of encoders: a cache's or an export's.

    Returns
    -------
    dict of str to ndarray of float32, shape (n_segments, dimension)
        Vectors by kind of input, ``embedding-NAME``.

    Raises
    ------
    EncoderError
        If an encoder is missing, or fails on the audio.
    """
    vectors = {}
    for name, embedding in embeddings.items():
        encoder = _opened(encoders, name, embedding, network_runtime())
        y = audio[embedding.sample_rate]
        scaled = np.minimum(np.round(ranges * (embedding.sample_rate / sr)).astype(np.int64), len(y))
        try:
            segments = [pool(encoder.encode(y[start:end]), embedding.pooling) for start, end in scaled]
        except EncoderError as error:
            raise EncoderError(f"the encoder {name!r} fails ({error})") from error
        X = np.stack(segments)
        if X.shape[1] != embedding.dimension:
            raise EncoderError(
                f"encoder {name!r}: returns vectors of {X.shape[1]} numbers, not {embedding.dimension}; the"
                " cache was made by another version of it"
            )
        vectors[f"{EMBEDDING_PREFIX}{name}"] = X
    return vectors


def open_encoders(embeddings: Mapping[str, Embedding], encoders: str, *, one_core: bool = False) -> None:
    """Open encoders before the first file.

    Parameters
    ----------
    embeddings, encoders
        See `segment_vectors`.
    one_core : bool
        Whether to restrict TensorFlow to one core and no GPU, because worker processes share the cores.

    Raises
    ------
    EncoderError
        If an encoder is missing or damaged.
    """
    if one_core and any(embedding.encoder == MUSICNN for embedding in embeddings.values()):
        import_keras()
        import tensorflow as tf

        # TensorFlow refuses if it has already started, as in a process that trains.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
    for name, embedding in embeddings.items():
        _opened(encoders, name, embedding, network_runtime())


@lru_cache(maxsize=_MAX_OPEN_ENCODERS)
def _opened(encoders: str, name: str, embedding: Embedding, runtime: Runtime) -> Encoder:
    """Open an encoder once per process; this imports TensorFlow or onnxruntime."""
    with copied_files(encoders, name, embedding) as folder:
        return open_encoder(folder, name, embedding, runtime=runtime)
