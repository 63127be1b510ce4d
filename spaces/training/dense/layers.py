"""Layers as functions with a fold axis: the same layer once per fold, each with its own weights.

Shapes begin with ``(n_folds, n_rows)``. The output for a fold depends on that fold's rows and weights alone.
Each layer equals its Keras counterpart, with the fold axis in front of its weights.
"""

from __future__ import annotations

import tensorflow as tf

MOMENTUM = 0.99
"""Momentum of the moving moments of batch normalisation, Keras's default."""
_EPSILON = 1e-3
"""Epsilon of both normalisations, Keras's default."""


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply by a kernel of shape (n_folds, n_inputs, units) and add a bias of shape (n_folds, units)."""
    return tf.matmul(x, kernel) + bias[:, None]


def batch_moments(x: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of the rows that a mask of shape (n_folds, n_rows, 1) counts: (n_folds, 1, units)."""
    mean, variance = tf.nn.weighted_moments(x, axes=[1], frequency_weights=mask, keepdims=True)
    return mean, variance


def row_moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of each row, shape (n_folds, n_rows, 1)."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return mean, variance


def normalise(
    x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
) -> tf.Tensor:
    """Normalise by moments, then scale and shift by weights of shape (n_folds, units)."""
    return (x - mean) * (tf.math.rsqrt(variance + _EPSILON) * gamma[:, None]) + beta[:, None]


def dropout(x: tf.Tensor, rate: tf.Tensor, seed: tf.Tensor, number: int) -> tf.Tensor:
    """Zero a fraction of the inputs and scale the rest up.

    Folds share the random draw, so that no fold's noise depends on the others.

    Parameters
    ----------
    x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
        Inputs.
    rate : tf.Tensor of float32, shape ()
        Dropout rate.
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    number : int
        Distinguishes the draws of several layers.
    """
    keep = 1.0 - rate
    drawn = tf.random.stateless_uniform(tf.shape(x)[1:], tf.random.fold_in(seed, number))
    return x * (tf.cast(drawn < keep, tf.float32) / keep)
