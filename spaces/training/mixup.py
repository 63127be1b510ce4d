"""Mixup (Zhang et al., 2018): each row of a batch becomes a mixture of two rows, and so does its target."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def mix_neighbours(
    tensors: Sequence[tf.Tensor],
    alpha: float | tf.Tensor,
    seed: tf.Tensor,
    *,
    row_axis: int = 0,
    per_row: bool = True,
) -> tuple[tf.Tensor, ...]:
    """Mix each row with the next row of its shuffled batch.

    Parameters
    ----------
    tensors : sequence of tf.Tensor of float32
        Inputs, targets and any other values of the rows, all with the rows on the same axis.
    alpha : float or tf.Tensor of float32, shape ()
        Both parameters of the Beta distribution of the weights; positive.
    seed : tf.Tensor of int32, shape (2,)
        Seed of the weights.
    row_axis : int
        Axis of the rows.
    per_row : bool
        Whether each row has its own weight; otherwise, the batch has one.

    Returns
    -------
    tuple of tf.Tensor of float32
        The mixtures, in the order and the shapes of `tensors`.
    """
    n_weights = tf.shape(tensors[0])[row_axis] if per_row else 1
    # The ratio of a Gamma variable to the sum of two has a Beta distribution.
    draws = tf.random.stateless_gamma([2, n_weights], seed, alpha=alpha)
    weights = draws[0] / tf.maximum(draws[0] + draws[1], 1e-12)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        shape = [1] * values.shape.rank
        shape[row_axis] = -1
        weight = tf.reshape(weights, shape)
        return weight * values + (1.0 - weight) * tf.roll(values, 1, axis=row_axis)

    return tuple(mixed(values) for values in tensors)
