"""Convolutional networks on spectrograms and pictures of them: their parameters and the code that reads them.

A block is a convolution, relu, pooling and normalisation, in the order of the published network. Axis 1 of
an input is frequency, axis 2 is time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spaces.training.family import Config

if TYPE_CHECKING:
    import keras
    import optuna

KERNELS = ("square", "vertical", "horizontal", "both")
"""Shapes of the first convolution's kernels: 3 x 3; along frequency, for timbre; along time, for rhythm; or
half of the filters of each (Pons et al., 2016, "Experimenting with musically motivated CNNs")."""

INPUT_POOLING = {"none": (1, 1), "time": (1, 2), "both": (2, 2)}
"""Average pooling of frequency and time before the first block: half the frames take half the time."""

STANDARDISE = "standardise"
"""Name of the layer that holds the inputs' mean and variance."""

_LONGEST = {"vertical": (0.4, 25), "horizontal": (0.25, 33)}
"""Length of the long kernels: this share of their axis, and at most so many."""

_GROUPS = 8
"""Groups of group normalisation; numbers of filters are multiples of it."""

_TOGETHER = 64
"""Rows that statistics are taken of at once."""


def suggest_network(trial: optuna.Trial) -> None:
    """Suggest the parameters that `build` reads."""
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
    """Build the blocks and the head.

    Parameters
    ----------
    inputs : KerasTensor
        The network's input.
    x : KerasTensor, shape (n, height, width, channels)
        What the blocks take.
    config : mapping
        Parameters as `suggest_network` names them.
    n_classes : int
        Number of genres.

    Returns
    -------
    keras.Model
        To logits.
    """
    import keras
    from keras import layers

    # Runs from before this parameter existed have no such key.
    size = INPUT_POOLING[config.get("input_pooling", "none")]
    if size != (1, 1):
        x = layers.AveragePooling2D(size, padding="same", name="input_pooling")(x)
    pools = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}
    for number in range(config["blocks"]):
        filters = max(_GROUPS, round(config["filters"] * config["growth"] ** number / _GROUPS) * _GROUPS)
        x = layers.Activation("relu")(_convolution(x, config, number, filters))
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


def _convolution(x: keras.KerasTensor, config: Config, number: int, filters: int) -> keras.KerasTensor:
    from keras import layers

    last = number == config["blocks"] - 1
    if number == 0 and config["kernel"] != "square":
        height, width = x.shape[1:3]
        shapes = {"vertical": (_long("vertical", height), 3), "horizontal": (1, _long("horizontal", width))}
        if config["kernel"] == "both":
            halves = [layers.Conv2D(filters // 2, shape, padding="same")(x) for shape in shapes.values()]
            return layers.Concatenate()(halves)
        return layers.Conv2D(filters, shapes[config["kernel"]], padding="same")(x)
    return layers.Conv2D(filters, config["last_kernel"] if last else 3, padding="same")(x)


def _long(direction: str, length: int) -> int:
    share, most = _LONGEST[direction]
    return max(1, min(most, round(share * length)))


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
    """Subtract a mean and divide by a deviation, one for each place of an axis; see `set_statistics`.

    A batch normalisation that is never trained does just that with its moving statistics, and keeps them as
    weights: each fold has its own, and an export needs nothing beside the network.
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
    """Set mean and variance of the layer `STANDARDISE`, if the model has it.

    Parameters
    ----------
    model : keras.Model
        A fresh network.
    X : ndarray, shape (n, height, width) or (n, height, width, channels)
        Training rows, and nothing but training rows, as they are cached.
    scale : float
        What stands between them and the layer.
    """
    found: list[Any] = [layer for layer in model.layers if layer.name == STANDARDISE]
    if not found:
        return
    # Sums of as many values as some hundred pictures have lose digits in 32 bits.
    sums = np.zeros((2, *X.shape[1:]))
    for start in range(0, len(X), _TOGETHER):
        rows = X[start : start + _TOGETHER].astype(np.float64)
        sums[0] += rows.sum(axis=0)
        sums[1] += np.square(rows, out=rows).sum(axis=0)
    if X.ndim == 3:
        sums = sums[..., None]
    place = found[0].axis % 4
    axes = tuple(axis for axis in range(1, 4) if axis != place)
    mean, square = sums.sum(axis=axes) * sums.shape[place] / X.size
    variance = np.maximum(square - mean**2, 0)
    # A band that is silent in training must not blow up what is not silent later.
    found[0].set_weights([scale * mean, scale**2 * np.maximum(variance, 1e-2 * variance.mean())])
