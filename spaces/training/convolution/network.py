"""Convolutional networks on spectrograms and their images: the search space and the network it describes.

A block consists of convolution, relu, pooling and normalisation, in the order of the published network. Input
axis 1 is frequency, axis 2 is time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spaces.training.family import Config

if TYPE_CHECKING:
    import keras
    import optuna

KERNELS = ("square", "vertical", "horizontal", "both")
"""Shapes of the kernels of the first block: 3 x 3; along frequency, for timbre; along time, for rhythm; or
half of the filters each (Pons et al., 2016, "Experimenting with musically motivated CNNs")."""

INPUT_POOLING = {"none": (1, 1), "time": (1, 2), "both": (2, 2)}
"""Average pooling of frequency and time before the first block; half as many frames train twice as fast."""

STANDARDISE = "standardise"
"""Name of the layer that standardises the inputs."""

_LONG_KERNELS = {"vertical": (0.4, 25), "horizontal": (0.25, 33)}
"""Length of the long kernels: a fraction of their axis, and a maximum."""

_GROUPS = 8
"""Number of groups of group normalisation; numbers of filters are multiples of it."""

_ROWS_PER_SUM = 64
"""Number of rows that `set_statistics` converts to float64 at once."""


def suggest_network(trial: optuna.Trial) -> None:
    """Suggest the parameters of the network that `build` reads."""
    trial.suggest_categorical("input_pooling", tuple(INPUT_POOLING))
    trial.suggest_int("blocks", 2, 5)
    trial.suggest_categorical("filters", (16, 24, 32, 48))
    trial.suggest_categorical("growth", (1.0, 1.5, 2.0))
    trial.suggest_categorical("kernel", KERNELS)
    trial.suggest_categorical("last_kernel", (2, 3))
    trial.suggest_categorical("pooling", ("max", "average"))
    if trial.suggest_categorical("normalisation", ("batch", "group", "none")) == "batch":
        trial.suggest_categorical("momentum", (0.9, 0.99))
    trial.suggest_float("block_dropout", 0.0, 0.3)
    trial.suggest_categorical("head", ("flatten", "average", "max"))
    trial.suggest_categorical("dense", (0, 64, 128))
    trial.suggest_float("dropout", 0.0, 0.6)


def build(inputs: keras.KerasTensor, x: keras.KerasTensor, config: Config, n_classes: int) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    inputs : KerasTensor
        Input of the network.
    x : KerasTensor, shape (n, height, width, channels)
        Input of the first block.
    config : mapping
        Parameters of `suggest_network`.
    n_classes : int
        Number of genres.

    Returns
    -------
    keras.Model
        Network to logits.
    """
    import keras
    from keras import layers

    # Configurations of earlier versions do not have this parameter.
    pool_size = INPUT_POOLING[config.get("input_pooling", "none")]
    if pool_size != (1, 1):
        x = layers.AveragePooling2D(pool_size, padding="same", name="input_pooling")(x)
    pools = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}
    for block in range(config["blocks"]):
        filters = max(_GROUPS, round(config["filters"] * config["growth"] ** block / _GROUPS) * _GROUPS)
        x = layers.Activation("relu")(_convolution(x, config, block, filters))
        x = pools[config["pooling"]](2, padding="same")(x)
        x = _normalised(x, config)
        if config["block_dropout"] > 0:
            x = layers.SpatialDropout2D(config["block_dropout"])(x)
    heads = {
        "flatten": layers.Flatten,
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }
    x = heads[config["head"]]()(x)
    if config["dense"]:
        x = layers.Dense(config["dense"], activation="relu")(x)
    x = layers.Dropout(config["dropout"])(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype="float32", name="logits")(x))


def _convolution(x: keras.KerasTensor, config: Config, block: int, filters: int) -> keras.KerasTensor:
    from keras import layers

    if block == 0 and config["kernel"] != "square":
        height, width = x.shape[1:3]
        shapes = {
            "vertical": (_long_kernel("vertical", height), 3),
            "horizontal": (1, _long_kernel("horizontal", width)),
        }
        if config["kernel"] == "both":
            halves = [layers.Conv2D(filters // 2, shape, padding="same")(x) for shape in shapes.values()]
            return layers.Concatenate()(halves)
        return layers.Conv2D(filters, shapes[config["kernel"]], padding="same")(x)
    size = config["last_kernel"] if block == config["blocks"] - 1 else 3
    return layers.Conv2D(filters, size, padding="same")(x)


def _long_kernel(direction: str, axis_length: int) -> int:
    fraction, maximum = _LONG_KERNELS[direction]
    return max(1, min(maximum, round(fraction * axis_length)))


def _normalised(x: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    from keras import layers

    match config["normalisation"]:
        case "batch":
            return layers.BatchNormalization(momentum=config["momentum"])(x)
        case "group":
            return layers.GroupNormalization(_GROUPS)(x)
        case _:
            return x


def standardised(x: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """Standardise inputs with the mean and variance of each position on an axis; see `set_statistics`.

    The layer is an untrained batch normalisation. It stores the statistics as weights, so that each fold has
    its own and an export needs only the network.
    """
    from keras import layers

    return layers.BatchNormalization(
        axis=axis,
        center=False,
        scale=False,
        epsilon=1e-6,
        trainable=False,
        dtype="float32",
        name=STANDARDISE,
    )(x)


def set_statistics(model: keras.Model, X: np.ndarray, *, scale: float = 1.0) -> None:
    """Set mean and variance of the layer `STANDARDISE`; do nothing if the model does not have it.

    Parameters
    ----------
    model : keras.Model
        New network.
    X : ndarray, shape (n, height, width) or (n, height, width, channels)
        Training rows only, as cached.
    scale : float
        Factor that the model applies to cached values before the layer.
    """
    standardisation: Any = next((layer for layer in model.layers if layer.name == STANDARDISE), None)
    if standardisation is None:
        return
    # In float64, because sums over hundreds of images lose digits in float32.
    sums = np.zeros((2, *X.shape[1:]))
    for start in range(0, len(X), _ROWS_PER_SUM):
        rows = X[start : start + _ROWS_PER_SUM].astype(np.float64)
        sums[0] += rows.sum(axis=0)
        sums[1] += np.square(rows, out=rows).sum(axis=0)
    if X.ndim == 3:
        sums = sums[..., None]
    kept_axis = standardisation.axis % 4
    summed_axes = tuple(axis for axis in range(1, 4) if axis != kept_axis)
    mean, mean_square = sums.sum(axis=summed_axes) * sums.shape[kept_axis] / X.size
    variance = np.maximum(mean_square - mean**2, 0)
    # The minimum prevents a band that is silent in training from amplifying later sound.
    standardisation.set_weights([scale * mean, scale**2 * np.maximum(variance, 1e-2 * variance.mean())])
