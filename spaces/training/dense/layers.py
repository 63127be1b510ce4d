"""Layers as functions with a fold axis: each fold has its own weights.

Inputs have shape (n_folds, n_rows, n_inputs). The output of a fold depends only on its own rows and weights
and equals that of the corresponding Keras layer.
"""

from __future__ import annotations

import tensorflow as tf

MOMENTUM = 0.99
"""Momentum of the moving mean and variance of batch normalisation; Keras's default."""
_EPSILON = 1e-3
"""Epsilon of both normalisations; Keras's default."""


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply by a kernel of shape (n_folds, n_inputs, units) and add a bias of shape (n_folds, units)."""
    return tf.matmul(x, kernel) + bias[:, None]


def batch_moments(x: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and variance over the rows of each fold, both of shape (n_folds, 1, units).

    Rows count where `mask`, of shape (n_folds, n_rows, 1), is 1.
    """
    mean, variance = tf.nn.weighted_moments(x, axes=[1], frequency_weights=mask, keepdims=True)
    return mean, variance


def row_moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and variance of each row, both of shape (n_folds, n_rows, 1)."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return mean, variance


def normalise(
    x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
) -> tf.Tensor:
    """Standardise by mean and variance, then scale and shift by weights of shape (n_folds, units)."""
    return (x - mean) * (tf.math.rsqrt(variance + _EPSILON) * gamma[:, None]) + beta[:, None]


def dropout(x: tf.Tensor, rate: tf.Tensor, seed: tf.Tensor, number: int) -> tf.Tensor:
    """Set a random fraction of the inputs to zero and scale the others up.

    Folds share the random draw, so that the noise of a fold does not depend on the number of folds.

    Parameters
    ----------
    x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
        Inputs.
    rate : tf.Tensor of float32, shape ()
        Dropout rate.
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    number : int
        Number of the layer, so that each layer has its own draw.
    """
    keep = 1.0 - rate
    draws = tf.random.stateless_uniform(tf.shape(x)[1:], tf.random.fold_in(seed, number))
    return x * (tf.cast(draws < keep, tf.float32) / keep)
