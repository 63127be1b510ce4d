"""MusiCNN (Pons and Serra, 2019) as a Keras network that fits the published checkpoint."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

N_FRAMES, N_MELS = 187, 96
"""Shape of a patch: frames of 16 ms, mel bands."""
N_TIMBRAL, N_TEMPORAL, N_MIDDLE, N_DENSE, N_TAGS = 204, 51, 64, 200, 50
N_POOLED = 2 * N_TIMBRAL + 3 * N_TEMPORAL + 3 * N_MIDDLE
"""Number of channels that are pooled over time: 753."""

_EPSILON = 1e-3


def build() -> keras.Model:
    """Build the network without its weights.

    Layers have the names of the checkpoint's variables. Every convolution is followed by relu, then by batch
    normalisation.

    Returns
    -------
    keras.Model
        Input: patches of log-mel levels, float32, shape (n, 187, 96). Outputs: ``maximum`` and ``mean``,
        shape (n, 753), the channels pooled over time; ``dense``, shape (n, 200), the penultimate layer;
        ``tags``, shape (n, 50), probabilities of tags.
    """
    patches = keras.Input((N_FRAMES, N_MELS), name="log_mel")
    x = layers.Reshape((N_FRAMES, N_MELS, 1))(patches)
    x = _normalised(x, 0)
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)))(x)
    front = [
        _front(padded, 0, N_TIMBRAL, (7, 38), "valid"),
        _front(padded, 1, N_TIMBRAL, (7, 67), "valid"),
        *(_front(x, 2 + n, N_TEMPORAL, (128 >> n, 1), "same") for n in range(3)),
    ]
    joined = layers.Concatenate()(front)
    first = _middle(joined, 5)
    second = layers.Add()([_middle(first, 6), first])
    third = layers.Add()([_middle(second, 7), second])
    channels = layers.Concatenate()([joined, first, second, third])
    maximum, mean = ops.max(channels, axis=1), ops.mean(channels, axis=1)
    # The checkpoint expects maximum and mean of each channel next to each other.
    x = layers.Reshape((2 * N_POOLED,))(ops.stack([maximum, mean], axis=2))
    x = layers.Dense(N_DENSE, activation="relu", name="dense")(_normalised(x, 9))
    dense = _normalised(x, 10)
    tags = layers.Dense(N_TAGS, activation="sigmoid", name="dense_1")(dense)
    return keras.Model(patches, {"maximum": maximum, "mean": mean, "dense": dense, "tags": tags})


def variable_names(layer: keras.Layer) -> list[str]:
    """Names in the checkpoint of the weights of a layer, in the order of Keras."""
    kinds: dict[type[keras.Layer], tuple[str, ...]] = {
        layers.BatchNormalization: ("gamma", "beta", "moving_mean", "moving_variance"),
        layers.Conv2D: ("kernel", "bias"),
        layers.Conv1D: ("kernel", "bias"),
        layers.Dense: ("kernel", "bias"),
    }
    return [f"{layer.name}/{kind}" for kind in kinds.get(type(layer), ())]


def as_weight(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert a variable of the checkpoint to the shape of a weight.

    The checkpoint stores the three convolutions over time as two-dimensional ones over (time, channel, 1).
    """
    return value[:, :, 0] if value.ndim == 4 and len(shape) == 3 else value


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _normalised(x: keras.KerasTensor, number: int) -> keras.KerasTensor:
    name = _numbered("batch_normalization", number)
    return layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)


def _front(
    x: keras.KerasTensor, number: int, filters: int, kernel: tuple[int, int], padding: str
) -> keras.KerasTensor:
    """Convolve over time and frequency; return the maximum over frequency: (n, n_frames, filters)."""
    name = _numbered("conv2d", number)
    x = layers.Conv2D(filters, kernel, padding=padding, activation="relu", name=name)(x)
    return ops.max(_normalised(x, number + 1), axis=2)


def _middle(x: keras.KerasTensor, number: int) -> keras.KerasTensor:
    """Convolve all channels over time; return (n, n_frames, 64)."""
    name = _numbered("conv2d", number)
    x = layers.Conv1D(N_MIDDLE, 7, padding="same", activation="relu", name=name)(x)
    return _normalised(x, number + 1)
