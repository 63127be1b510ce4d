"""Join MusiCNN, pooling, scaling and the trained head into one network for other runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.analysis.encoders.musicnn import SAMPLE_RATE, load_network, log_mel_patches
from data.analysis.encoders.musicnn_weights import find_weights
from data.analysis.parameters import Embedding
from data.io.keras_import import import_keras

if TYPE_CHECKING:
    import keras

FOLDER = "chain"
"""Folder of an export that holds the formats of the joined network."""
_FORMATS = ("onnx", "tflite")


def has_chain(embedding: Embedding, scaler: Sequence[Mapping[str, Any]]) -> bool:
    """Whether encoder and head can be joined: the encoder is MusiCNN and the scaling is affine."""
    return embedding.encoder == "musicnn" and all("scale_" in step for step in scaler)


def chain_formats(formats: Sequence[str]) -> list[str]:
    """Select those of the requested formats in which the joined network is also written."""
    return [name for name in formats if name in _FORMATS]


def build_encoder(weights: Path) -> keras.Model:
    """Build MusiCNN alone, from log-mel patches (n, 187, 96), float32, to vectors (n, 1506).

    Parameters
    ----------
    weights : Path
        Folder with the encoder's files.
    """
    import_keras()
    import keras
    from keras import ops

    network = load_network(find_weights(weights))
    patches = keras.Input(network.input_shape[1:], name="log_mel")
    outputs = network(patches)
    return keras.Model(patches, ops.concatenate([outputs["maximum"], outputs["mean"]], axis=1))


def build_chain(
    head: keras.Model, embedding: Embedding, scaler: Sequence[Mapping[str, Any]], weights: Path
) -> keras.Model:
    """Build the joined network.

    Parameters
    ----------
    head : keras.Model
        The trained head, from scaled vectors to probabilities.
    embedding : Embedding
        How the vectors are computed; see `has_chain`.
    scaler : sequence of mapping
        The fitted steps of the scaling; see `spaces.training.dense.scalers`.
    weights : Path
        Folder with the encoder's files.

    Returns
    -------
    keras.Model
        Maps the log-mel patches of one segment, float32 of shape (n_patches, 187, 96) as returned by
        `data.analysis.encoders.musicnn.log_mel_patches`, to probabilities of shape (1, n_classes).
    """
    encoder = build_encoder(weights)
    import keras
    from keras import ops

    patches = keras.Input(encoder.input_shape[1:], name="log_mel")
    vectors = encoder(patches)
    pooled = ops.mean(vectors, axis=0, keepdims=True)
    if embedding.pooling == "mean-std":
        deviation = ops.sqrt(ops.mean(ops.square(vectors - pooled), axis=0, keepdims=True))
        pooled = ops.concatenate([pooled, deviation], axis=1)
    for step in scaler:
        centre = np.asarray(step.get("mean_", step.get("center_")), dtype=np.float32)
        pooled = (pooled - centre) / np.asarray(step["scale_"], dtype=np.float32)
    return keras.Model(patches, head(pooled))


def noise_patches() -> np.ndarray:
    """Return log-mel patches of ten seconds of noise, float32, for the comparison of formats."""
    rng = np.random.default_rng(0)
    return log_mel_patches(rng.normal(scale=0.1, size=10 * SAMPLE_RATE).astype(np.float32))
