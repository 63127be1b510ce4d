"""Randomness inside a compiled epoch: counted, not drawn, so that it can be had again."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class Noise:
    """What noise layers read while an epoch is traced: this step's seed and the configuration's rates.

    The values are symbolic tensors of the graph being traced, so one compiled epoch serves every rate.

    Attributes
    ----------
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    rates : dict of str to tf.Tensor of float32, shape ()
        Dropout rates by name.
    """

    seed: tf.Tensor
    rates: dict[str, tf.Tensor]

    def __init__(self) -> None:
        self.rates = {}
        self._layers = 0

    def dropout(self, name: str) -> keras.layers.Layer:
        """Return a dropout layer that obeys ``rates[name]``."""
        self._layers += 1
        return _CountedDropout(self, name, self._layers)


class _CountedDropout(keras.layers.Layer):
    """Inverted dropout whose rate is a tensor and whose mask is a function of the step's seed."""

    def __init__(self, noise: Noise, rate_name: str, number: int) -> None:
        super().__init__()
        self._noise = noise
        self._rate_name = rate_name
        self._number = number

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Zero a share of the inputs and scale the rest up, in training only."""
        if not training:
            return inputs
        keep = 1.0 - self._noise.rates[self._rate_name]
        seed = tf.random.fold_in(self._noise.seed, self._number)
        drawn = tf.random.stateless_uniform(tf.shape(inputs), seed)
        return tf.where(drawn < keep, inputs / keep, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output: that of the input."""
        return input_shape
