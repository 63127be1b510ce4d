"""Normalisations selected by a number inside the graph, with their gradients.

The results equal those of `keras.layers.BatchNormalization` and `keras.layers.LayerNormalization` with their
default settings. Batch normalisation counts only the rows that are not padding.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_MOMENTUM = 0.99
"""Momentum of the moving mean and variance of batch normalisation; Keras's default."""
_EPSILON = 1e-3
"""Epsilon of both normalisations; Keras's default."""


class Normalised(NamedTuple):
    """Result of `normalise`.

    Attributes
    ----------
    y : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Normalised, scaled and shifted inputs.
    standardised : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Normalised inputs before scale and shift.
    inverse : tf.Tensor of float32, rank 3
        Reciprocal of the standard deviation, of each unit or of each row.
    moments : tf.Tensor of float32, shape (n_folds, 2, units)
        Moving mean and variance after the step.
    """

    y: tf.Tensor
    standardised: tf.Tensor
    inverse: tf.Tensor
    moments: tf.Tensor


def normalise(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    moments: tf.Tensor,
    mask: tf.Tensor,
    number: tf.Tensor,
) -> Normalised:
    """Normalise the inputs of an activation in training.

    Parameters
    ----------
    x : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Inputs.
    gamma, beta : tf.Tensor of float32, shape (n_folds, 1, units)
        Scale and shift.
    moments : tf.Tensor of float32, shape (n_folds, 2, units)
        Moving mean and variance before the step.
    mask : tf.Tensor of float32, shape (n_folds, n_rows, 1)
        1 for rows that count, 0 for padding.
    number : tf.Tensor of int32, shape ()
        Position in `spaces.training.dense.network.NORMALISATIONS`.
    """

    def batch() -> Normalised:
        n_rows = tf.reduce_sum(mask, axis=1, keepdims=True)
        mean = tf.reduce_sum(x * mask, axis=1, keepdims=True) / n_rows
        centred = x - mean
        variance = tf.reduce_sum(tf.square(centred) * mask, axis=1, keepdims=True) / n_rows
        inverse = tf.math.rsqrt(variance + _EPSILON)
        standardised = centred * inverse
        change = (1.0 - _MOMENTUM) * (tf.concat([mean, variance], axis=1) - moments)
        return Normalised(standardised * gamma + beta, standardised, inverse, moments + change)

    def layer() -> Normalised:
        standardised, inverse = _standardised_rows(x)
        return Normalised(standardised * gamma + beta, standardised, inverse, moments)

    return Normalised(*tf.switch_case(number, [lambda: Normalised(x, x, mask, moments), batch, layer]))


def normalise_for_evaluation(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, moments: tf.Tensor, number: tf.Tensor
) -> tf.Tensor:
    """Normalise with the moving moments; the arguments are those of `normalise`."""

    def batch() -> tf.Tensor:
        mean, variance = tf.split(moments, 2, axis=1)
        return (x - mean) * (tf.math.rsqrt(variance + _EPSILON) * gamma) + beta

    def layer() -> tf.Tensor:
        return _standardised_rows(x)[0] * gamma + beta

    return tf.switch_case(number, [lambda: x, batch, layer])


def _standardised_rows(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Standardise each row; return the result and the reciprocals, shape (n_folds, n_rows, 1)."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    inverse = tf.math.rsqrt(variance + _EPSILON)
    return (x - mean) * inverse, inverse


def gradients(
    upstream: tf.Tensor,
    gamma: tf.Tensor,
    standardised: tf.Tensor,
    inverse: tf.Tensor,
    mask: tf.Tensor,
    number: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the gradients with respect to the inputs, `gamma` and `beta` of `normalise`.

    Parameters
    ----------
    upstream : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Gradient with respect to `Normalised.y`; 0 in rows of padding.
    gamma, mask, number
        Arguments of `normalise`.
    standardised, inverse
        Results of `normalise`.
    """

    def none() -> tuple[tf.Tensor, ...]:
        # Gamma stays 1 and beta 0.
        return upstream, tf.zeros_like(gamma), tf.zeros_like(gamma)

    def parameters() -> tuple[tf.Tensor, tf.Tensor]:
        return (
            tf.reduce_sum(upstream * standardised, axis=1, keepdims=True),
            tf.reduce_sum(upstream, axis=1, keepdims=True),
        )

    def batch() -> tuple[tf.Tensor, ...]:
        d_gamma, d_beta = parameters()
        # Padding is excluded from the moments, so that these do not depend on it.
        share = mask / tf.reduce_sum(mask, axis=1, keepdims=True)
        d_x = inverse * gamma * (upstream - share * (d_beta + standardised * d_gamma))
        return d_x, d_gamma, d_beta

    def layer() -> tuple[tf.Tensor, ...]:
        scaled = upstream * gamma
        mean = tf.reduce_mean(scaled, axis=-1, keepdims=True)
        slope = tf.reduce_mean(scaled * standardised, axis=-1, keepdims=True)
        return inverse * (scaled - mean - standardised * slope), *parameters()

    d_x, d_gamma, d_beta = tf.switch_case(number, [none, batch, layer])
    return d_x, d_gamma, d_beta
