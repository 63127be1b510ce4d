"""Activations selected by a number inside the graph, so that one compiled epoch serves all of them."""

from __future__ import annotations

import math

import tensorflow as tf


def _relu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.nn.relu(x), tf.cast(x > 0.0, tf.float32)


def _gelu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    probability = 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))
    return x * probability, probability + x * tf.exp(-0.5 * tf.square(x)) / math.sqrt(2.0 * math.pi)


def _silu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    sigmoid = tf.sigmoid(x)
    return x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid))


def _tanh(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    y = tf.tanh(x)
    return y, 1.0 - tf.square(y)


_VALUE_AND_SLOPE = (_relu, _gelu, _silu, _tanh)
"""Functions that return value and slope, in the order of `spaces.training.dense.network.ACTIVATIONS`."""


def value_and_slope(x: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply an activation; return its values and its derivatives, both with the shape of `x`.

    Parameters
    ----------
    x : tf.Tensor of float32
        Inputs.
    number : tf.Tensor of int32, shape ()
        Position in `spaces.training.dense.network.ACTIVATIONS`.
    """
    value, slope = tf.switch_case(
        number, [lambda function=function: function(x) for function in _VALUE_AND_SLOPE]
    )
    return value, slope
