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


def activate(x: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Apply an activation.

    The slope is computed together with the value and enters the gradient through ``value + slope * (x - x)``.
    Two reasons: the gradient of a branch in the graph takes longer than a small layer, and the custom
    gradient of `tf.nn.silu` would keep its graph for the lifetime of the process.

    Parameters
    ----------
    x : tf.Tensor of float32
        Inputs.
    number : tf.Tensor of int32, shape ()
        Position in `spaces.training.dense.network.ACTIVATIONS`.
    """
    constant_x = tf.stop_gradient(x)
    branches = [lambda function=function: function(constant_x) for function in _VALUE_AND_SLOPE]
    value, slope = tf.switch_case(number, branches)
    return tf.stop_gradient(value) + tf.stop_gradient(slope) * (x - constant_x)
