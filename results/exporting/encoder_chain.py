"""MusiCNN, the pooling, the scaling and the head as one network, for other runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.analysis.encoders.musicnn_weights import find_weights
from data.analysis.parameters import Embedding
from data.io.keras_import import import_keras

if TYPE_CHECKING:
    import keras

FOLDER = "chain"
"""Folder of an export that holds the chain's formats."""
_FORMATS = ("onnx", "tflite")


def has_chain(embedding: Embedding, scaler: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the chain of an encoder and a head can be built: MusiCNN, and a scaling that is affine."""
    return embedding.encoder == "musicnn" and all("scale_" in step for step in scaler)


def chain_formats(formats: Sequence[str]) -> list[str]:
    """Select, of the formats that an export asks for, those in which the chain is written too."""
    return [name for name in formats if name in _FORMATS]


def build_chain(
    head: keras.Model, embedding: Embedding, scaler: Sequence[Mapping[str, Any]], weights: Path
) -> keras.Model:
    """Build the chain.

    Parameters
    ----------
    head : keras.Model
        From scaled vectors to probabilities.
    embedding : Embedding
        How the vectors are taken; see `has_chain`.
    scaler : sequence of mapping
        The fitted steps of the scaling; see `spaces.training.dense.scalers`.
    weights : Path
        Folder of the encoder's files.

    Returns
    -------
    keras.Model
        From the log-mel patches of one segment, float32 of shape (n_patches, 187, 96) as
        `data.analysis.encoders.musicnn.log_mel_patches` cuts them, to probabilities of shape (1, n_classes).
    """
    import_keras()
    import keras
    from keras import ops

    from data.analysis.encoders.musicnn import load_network

    network = load_network(find_weights(weights))
    patches = keras.Input(network.input_shape[1:], name="log_mel")
    outputs = network(patches)
    vectors = ops.concatenate([outputs["maximum"], outputs["mean"]], axis=1)
    pooled = ops.mean(vectors, axis=0, keepdims=True)
    if embedding.pooling == "mean-std":
        deviation = ops.sqrt(ops.mean(ops.square(vectors - pooled), axis=0, keepdims=True))
        pooled = ops.concatenate([pooled, deviation], axis=1)
    for step in scaler:
        centre = np.asarray(step.get("mean_", step.get("center_")), dtype=np.float32)
        pooled = (pooled - centre) / np.asarray(step["scale_"], dtype=np.float32)
    return keras.Model(patches, head(pooled))


def noise_patches() -> np.ndarray:
    """Log-mel patches of ten seconds of noise, float32, on which formats are compared."""
    from data.analysis.encoders.musicnn import SAMPLE_RATE, log_mel_patches

    rng = np.random.default_rng(0)
    return log_mel_patches(rng.normal(scale=0.1, size=10 * SAMPLE_RATE).astype(np.float32))
