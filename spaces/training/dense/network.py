"""The dense network of a configuration: its weights, and the same network in Keras layers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras

ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
"""Names of the activations; each equals `keras.activations` of that name."""

NORMALISATIONS = ("none", "batch", "layer")
"""Normalisations between a hidden layer's product and its activation."""

_NORM_WEIGHTS: dict[str, tuple[float, ...]] = {
    "none": (),
    # gamma, beta, moving mean, moving variance
    "batch": (1.0, 0.0, 0.0, 1.0),
    # gamma, beta
    "layer": (1.0, 0.0),
}
"""Initial values of a normalisation's weights, in Keras's order."""


class Architecture(NamedTuple):
    """A dense network.

    Attributes
    ----------
    n_inputs, n_classes : int
        Width of the input and of the logits.
    units : tuple of int
        Widths of the hidden layers; empty for a linear network.
    activation : str
        One of `ACTIVATIONS`.
    normalisation : str
        One of `NORMALISATIONS`.
    """

    n_inputs: int
    n_classes: int
    units: tuple[int, ...] = ()
    activation: str = "relu"
    normalisation: str = "none"

    def initial_weights(self, seed: int) -> list[np.ndarray]:
        """Draw the weights of one fold, in the order of the Keras model: float32.

        Kernels follow Glorot and Bengio's (2010) uniform rule, Keras's default.
        """
        rng = np.random.default_rng(seed)
        weights: list[np.ndarray] = []
        n_inputs = self.n_inputs
        for units in self.units:
            weights += _dense(rng, n_inputs, units)
            weights += [np.full(units, value, np.float32) for value in _NORM_WEIGHTS[self.normalisation]]
            n_inputs = units
        return [*weights, *_dense(rng, n_inputs, self.n_classes)]

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers."""
        widths = (self.n_inputs, *self.units, self.n_classes)
        products = sum(before * after + after for before, after in pairwise(widths))
        return products + (0 if self.normalisation == "none" else 2 * sum(self.units))

    def keras_model(self, *, input_dropout: float = 0.0, dropout: float = 0.0) -> keras.Model:
        """Build the network for one fold from plain Keras layers, softmax included."""
        import keras
        from keras import layers

        normalisations = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}
        inputs = keras.Input((self.n_inputs,), name="features")
        x = layers.Dropout(input_dropout)(inputs)
        for units in self.units:
            x = layers.Dense(units)(x)
            if self.normalisation != "none":
                x = normalisations[self.normalisation]()(x)
            x = layers.Activation(self.activation)(x)
            x = layers.Dropout(dropout)(x)
        logits = layers.Dense(self.n_classes, name="logits")(x)
        return keras.Model(inputs, layers.Softmax(name="genre")(logits))


def _dense(rng: np.random.Generator, n_inputs: int, units: int) -> list[np.ndarray]:
    """Kernel and bias of one layer."""
    bound = np.sqrt(6 / (n_inputs + units))
    kernel = rng.uniform(-bound, bound, size=(n_inputs, units)).astype(np.float32)
    return [kernel, np.zeros(units, np.float32)]
