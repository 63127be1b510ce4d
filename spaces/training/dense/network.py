"""The dense network of a configuration: its initial weights and its Keras model."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras

ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
"""Names of the activations, as in `keras.activations`."""

NORMALISATIONS = ("none", "batch", "layer")
"""Normalisations, applied before the activation of each hidden layer."""

_NORMALISATION_WEIGHTS: dict[str, tuple[float, ...]] = {
    "none": (),
    # gamma, beta, moving mean, moving variance
    "batch": (1.0, 0.0, 0.0, 1.0),
    # gamma, beta
    "layer": (1.0, 0.0),
}
"""Initial values of the weights of a normalisation, in the order of the Keras layer."""


class Architecture(NamedTuple):
    """A dense network.

    Attributes
    ----------
    n_inputs, n_classes : int
        Number of inputs and of logits.
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
        """Draw the weights of one fold, float32, in the order of the Keras model.

        Kernels follow the uniform rule of Glorot and Bengio (2010), Keras's default.
        """
        rng = np.random.default_rng(seed)
        weights: list[np.ndarray] = []
        n_inputs = self.n_inputs
        for units in self.units:
            weights += _dense(rng, n_inputs, units)
            weights += [
                np.full(units, value, np.float32) for value in _NORMALISATION_WEIGHTS[self.normalisation]
            ]
            n_inputs = units
        return [*weights, *_dense(rng, n_inputs, self.n_classes)]

    @property
    def n_parameters(self) -> int:
        """Number of trainable values."""
        widths = (self.n_inputs, *self.units, self.n_classes)
        dense = sum(n_inputs * units + units for n_inputs, units in pairwise(widths))
        return dense + (0 if self.normalisation == "none" else 2 * sum(self.units))

    def keras_model(self, *, input_dropout: float = 0.0, dropout: float = 0.0) -> keras.Model:
        """Build the network of one fold from plain Keras layers, including softmax."""
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
    """Draw kernel and bias of one layer."""
    bound = np.sqrt(6 / (n_inputs + units))
    kernel = rng.uniform(-bound, bound, size=(n_inputs, units)).astype(np.float32)
    return [kernel, np.zeros(units, np.float32)]
