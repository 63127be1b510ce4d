"""Layers as functions with a fold axis, with their gradients.

Each fold has its own weights, and its output depends only on its own rows and weights. Gradients are written
by hand: TensorFlow's gradient of a branch in the graph takes longer than a small layer, and the custom
gradient of `tf.nn.silu` would keep its graph for the lifetime of the process.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from spaces.training.dense import normalisations
from spaces.training.dense.activations import value_and_slope


class HiddenLayer(NamedTuple):
    """Weights of a hidden layer, or their gradients.

    Attributes
    ----------
    kernel : tf.Tensor of float32, shape (n_folds, n_inputs, units)
        Kernel.
    vectors : tf.Tensor of float32, shape (n_folds, 3, units)
        Bias; scale and shift of the normalisation, 1 and 0 without one.
    moments : tf.Tensor of float32, shape (n_folds, 2, units)
        Moving mean and variance of batch normalisation, which have no gradients.
    """

    kernel: tf.Tensor
    vectors: tf.Tensor
    moments: tf.Tensor


class Kind(NamedTuple):
    """Numbers of the activation and the normalisation of hidden layers.

    Attributes
    ----------
    activation, normalisation : tf.Tensor of int32, shape ()
        Positions in `spaces.training.dense.network.ACTIVATIONS` and ``NORMALISATIONS``.
    """

    activation: tf.Tensor
    normalisation: tf.Tensor


class Noise(NamedTuple):
    """Random draw of a dropout.

    Attributes
    ----------
    rate : tf.Tensor of float32, shape ()
        Dropout rate.
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    number : int or tf.Tensor of int32, shape ()
        Number of the layer, so that each layer has its own draw.
    """

    rate: tf.Tensor
    seed: tf.Tensor
    number: int | tf.Tensor


class Trace(NamedTuple):
    """Values of a hidden layer in training that its gradient needs.

    Attributes
    ----------
    x, standardised, slope, inverse : tf.Tensor of float32, rank 3
        Inputs; standardised values; derivative of activation and dropout; see `normalisations.Normalised`.
    """

    x: tf.Tensor
    standardised: tf.Tensor
    slope: tf.Tensor
    inverse: tf.Tensor


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply by a kernel, shape (n_folds, n_inputs, units), and add a bias, shape (n_folds, 1, units)."""
    return tf.matmul(x, kernel) + bias


def dense_gradients(upstream: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the gradients with respect to the kernel and the bias of `dense`."""
    return tf.matmul(x, upstream, transpose_a=True), tf.reduce_sum(upstream, axis=1, keepdims=True)


def dropout(values: tuple[tf.Tensor, ...], noise: Noise) -> tuple[tf.Tensor, ...]:
    """Set the same random fraction of several tensors to zero and scale the others up.

    Folds share the random draw, so that the noise of a fold does not depend on the number of folds.

    Parameters
    ----------
    values : tuple of tf.Tensor of float32, shape (n_folds, n_rows, n)
        Tensors of one shape.
    noise : Noise
        The random draw.
    """

    def dropped() -> tuple[tf.Tensor, ...]:
        keep = 1.0 - noise.rate
        seed = tf.random.fold_in(noise.seed, noise.number)
        draws = tf.random.stateless_uniform(tf.shape(values[0])[1:], seed)
        factor = tf.cast(draws < keep, tf.float32) / keep
        return tuple(value * factor for value in values)

    return tf.cond(noise.rate > 0.0, dropped, lambda: values)


def hidden(
    x: tf.Tensor, weights: HiddenLayer, kind: Kind, mask: tf.Tensor, noise: Noise
) -> tuple[tf.Tensor, tf.Tensor, Trace]:
    """Apply a hidden layer in training: dense, normalisation, activation, dropout.

    Parameters
    ----------
    x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
        Inputs.
    weights : HiddenLayer
        The weights.
    kind : Kind
        Activation and normalisation.
    mask : tf.Tensor of float32, shape (n_folds, n_rows, 1)
        1 for rows that count, 0 for padding.
    noise : Noise
        Dropout of the outputs.

    Returns
    -------
    y : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Outputs.
    moments : tf.Tensor of float32, shape (n_folds, 2, units)
        Moving mean and variance after the step.
    trace : Trace
        Values for `hidden_gradients`.
    """
    bias, gamma, beta = tf.split(weights.vectors, 3, axis=1)
    normalised = normalisations.normalise(
        dense(x, weights.kernel, bias), gamma, beta, weights.moments, mask, kind.normalisation
    )
    y, slope = dropout(value_and_slope(normalised.y, kind.activation), noise)
    return y, normalised.moments, Trace(x, normalised.standardised, slope, normalised.inverse)


def hidden_for_evaluation(x: tf.Tensor, weights: HiddenLayer, kind: Kind) -> tf.Tensor:
    """Apply a hidden layer in evaluation; the arguments are those of `hidden`."""
    bias, gamma, beta = tf.split(weights.vectors, 3, axis=1)
    x = dense(x, weights.kernel, bias)
    x = normalisations.normalise_for_evaluation(x, gamma, beta, weights.moments, kind.normalisation)
    return value_and_slope(x, kind.activation)[0]


def hidden_gradients(
    upstream: tf.Tensor, trace: Trace, weights: HiddenLayer, kind: Kind, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the gradients of `hidden` with respect to its inputs, kernel and vectors.

    Parameters
    ----------
    upstream : tf.Tensor of float32, shape (n_folds, n_rows, units)
        Gradient with respect to the outputs; 0 in rows of padding.
    trace : Trace
        Result of `hidden`.
    weights, kind, mask
        Arguments of `hidden`.
    """
    d_z, d_gamma, d_beta = normalisations.gradients(
        upstream * trace.slope,
        weights.vectors[:, 1:2],
        trace.standardised,
        trace.inverse,
        mask,
        kind.normalisation,
    )
    d_kernel, d_bias = dense_gradients(d_z, trace.x)
    d_x = tf.matmul(d_z, weights.kernel, transpose_b=True)
    return d_x, d_kernel, tf.concat([d_bias, d_gamma, d_beta], axis=1)
