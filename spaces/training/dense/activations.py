"""Activations chosen by a number inside the graph, so that one compiled epoch serves all of them."""

from __future__ import annotations

import math

import tensorflow as tf


def _relu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.nn.relu(x), tf.cast(x > 0.0, tf.float32)


def _gelu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    share = 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))
    return x * share, share + x * tf.exp(-0.5 * tf.square(x)) / math.sqrt(2.0 * math.pi)


def _silu(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    share = tf.sigmoid(x)
    return x * share, share * (1.0 + x * (1.0 - share))


def _tanh(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    y = tf.tanh(x)
    return y, 1.0 - tf.square(y)


_VALUE_AND_SLOPE = (_relu, _gelu, _silu, _tanh)


def activate(x: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Apply an activation.

    The slope is computed beside the value and enters by ``value + slope * (x - x)``: the gradient of a branch
    in the graph would cost more than a small layer, and `tf.nn.silu` has a custom gradient, which keeps its
    graph for the lifetime of the process.

    Parameters
    ----------
    x : tf.Tensor of float32
        Inputs.
    number : tf.Tensor of int32, shape ()
        Position in `spaces.training.dense.network.ACTIVATIONS`.
    """
    fixed = tf.stop_gradient(x)
    value, slope = tf.switch_case(number, [lambda each=each: each(fixed) for each in _VALUE_AND_SLOPE])
    return tf.stop_gradient(value) + tf.stop_gradient(slope) * (x - fixed)
