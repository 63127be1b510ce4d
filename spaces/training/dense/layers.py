"""Layers with a fold axis: the same network once a fold, each with its own weights, in one matrix product.

Shapes begin with ``(n_folds, n_rows)``. What a layer computes for a fold depends on that fold's rows and
weights alone. Each layer has the weights of its Keras counterpart, in the same order, with the fold axis in
front, so that a fold's network is exported as plain Keras layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf


@dataclass
class Pass:
    """What layers are told while a step, or a judgement, is traced.

    Attributes
    ----------
    mask : tf.Tensor of float32, shape (n_folds, n_rows, 1), or None
        1 for rows that count, 0 for rows that only fill up a fold's batch; None in a judgement, which is
        what tells layers that they are not training.
    seed : tf.Tensor of int32, shape (2,), or None
        Seed of the step. Folds share what is drawn from it, so that no fold's noise depends on the others.
    rates : mapping of str to tf.Tensor of float32, shape ()
        Dropout rates by name.
    """

    mask: tf.Tensor | None = None
    seed: tf.Tensor | None = None
    rates: Mapping[str, tf.Tensor] = field(default_factory=dict)


class FoldLayer(ABC):
    """One layer for all folds."""

    weights: Sequence[keras.Variable] = ()
    """In the order of the Keras counterpart."""

    @abstractmethod
    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Apply the layer to ``x`` of shape (n_folds, n_rows, n_inputs)."""

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Fresh weights of one fold, without the fold axis; none where a layer has none."""
        return []


class Dense(FoldLayer):
    """Counterpart of `keras.layers.Dense` without an activation."""

    def __init__(self, n_folds: int, n_inputs: int, units: int) -> None:
        self.kernel = keras.Variable(np.zeros((n_folds, n_inputs, units), np.float32), name="kernel")
        self.bias = keras.Variable(np.zeros((n_folds, units), np.float32), name="bias")
        self.weights = (self.kernel, self.bias)

    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Multiply and add."""
        return tf.matmul(x, self.kernel.value) + self.bias.value[:, None]

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw the kernel by Glorot and Bengio's (2010) uniform rule, Keras's default."""
        _, n_inputs, units = self.kernel.shape
        bound = np.sqrt(6 / (n_inputs + units))
        kernel = rng.uniform(-bound, bound, size=(n_inputs, units)).astype(np.float32)
        return [kernel, np.zeros(units, np.float32)]


class BatchNormalization(FoldLayer):
    """Counterpart of `keras.layers.BatchNormalization`, with its momentum and epsilon."""

    _MOMENTUM, _EPSILON = 0.99, 1e-3

    def __init__(self, n_folds: int, units: int) -> None:
        ones, zeros = np.ones((n_folds, units), np.float32), np.zeros((n_folds, units), np.float32)
        self.gamma = keras.Variable(ones, name="gamma")
        self.beta = keras.Variable(zeros, name="beta")
        self.mean = keras.Variable(zeros, name="moving_mean", trainable=False)
        self.variance = keras.Variable(ones, name="moving_variance", trainable=False)
        self.weights = (self.gamma, self.beta, self.mean, self.variance)

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Scale by 1 and shift by 0, before any moment has been seen."""
        ones, zeros = np.ones(self.gamma.shape[1], np.float32), np.zeros(self.gamma.shape[1], np.float32)
        return [ones, zeros, zeros, ones]

    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Normalise by the batch's moments in training, by the moving ones in a judgement."""
        if given.mask is None:
            mean, variance = self.mean.value[:, None], self.variance.value[:, None]
        else:
            mean, variance = tf.nn.weighted_moments(x, axes=[1], frequency_weights=given.mask, keepdims=True)
            for moving, batch in ((self.mean, mean), (self.variance, variance)):
                moving.value.assign_add((1 - self._MOMENTUM) * (batch[:, 0] - moving.value))
        scale = tf.math.rsqrt(variance + self._EPSILON) * self.gamma.value[:, None]
        return (x - mean) * scale + self.beta.value[:, None]


class LayerNormalization(FoldLayer):
    """Counterpart of `keras.layers.LayerNormalization`, with its epsilon."""

    _EPSILON = 1e-3

    def __init__(self, n_folds: int, units: int) -> None:
        self.gamma = keras.Variable(np.ones((n_folds, units), np.float32), name="gamma")
        self.beta = keras.Variable(np.zeros((n_folds, units), np.float32), name="beta")
        self.weights = (self.gamma, self.beta)

    def initial(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Scale by 1 and shift by 0."""
        return [np.ones(self.gamma.shape[1], np.float32), np.zeros(self.gamma.shape[1], np.float32)]

    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Normalise each row by its own moments."""
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        scale = tf.math.rsqrt(variance + self._EPSILON) * self.gamma.value[:, None]
        return (x - mean) * scale + self.beta.value[:, None]


class Activation(FoldLayer):
    """Counterpart of `keras.layers.Activation`."""

    def __init__(self, name: str) -> None:
        self._function = keras.activations.get(name)

    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Apply the function."""
        return self._function(x)


class Dropout(FoldLayer):
    """Counterpart of `keras.layers.Dropout`, whose rate is an argument and whose mask follows the seed.

    Parameters
    ----------
    rate_name : str
        Which of `Pass.rates` it obeys.
    number : int
        Tells its draws from other layers'.
    """

    def __init__(self, rate_name: str, number: int) -> None:
        self.rate_name = rate_name
        self._number = number

    def __call__(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        """Zero a share of the inputs and scale the rest up, in training only."""
        if given.mask is None:
            return x
        keep = 1.0 - given.rates[self.rate_name]
        drawn = tf.random.stateless_uniform(tf.shape(x)[1:], tf.random.fold_in(given.seed, self._number))
        return x * (tf.cast(drawn < keep, tf.float32) / keep)
