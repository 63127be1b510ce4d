"""Changes to batches of spectrograms and pictures, in the graph, drawn from stateless seeds.

Batches have shape (n, height, width, channels): frequency upwards or downwards, time to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

_FREQUENCY, _TIME = 1, 2
"""Axes of a batch."""


@dataclass(frozen=True)
class Augmentation:
    """What is changed, and how much.

    Attributes
    ----------
    time_masks, frequency_masks : int
        Number of masks of each kind (SpecAugment: Park et al., 2019).
    mask_share : float
        Longest mask as a share of its axis, from 0 to 1.
    shift : bool
        Whether time begins anywhere and goes round, so that no network learns where in a picture a thing is.
    mixup : float
        Parameter of the Beta distribution that mixes pairs of rows (Zhang et al., 2018); 0 mixes none.
    """

    time_masks: int = 0
    frequency_masks: int = 0
    mask_share: float = 0.0
    shift: bool = False
    mixup: float = 0.0

    def __call__(self, x: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Change a batch.

        Parameters
        ----------
        x : tf.Tensor of float32, shape (n, height, width, channels)
            Inputs; of shape (n, n_inputs) they are only mixed.
        target : tf.Tensor of float32, shape (n, n_classes)
            Shares of the genres.
        seed : tf.Tensor of int32, shape (2,)
            Seed of this step.
        """
        if x.shape.rank == 4:
            if self.shift:
                x = crop(x, x.shape[_TIME], tf.random.fold_in(seed, 1))
            for axis, count in ((_TIME, self.time_masks), (_FREQUENCY, self.frequency_masks)):
                for number in range(count):
                    x = mask(x, axis, self.mask_share, tf.random.fold_in(seed, 10 * axis + number))
        if self.mixup > 0:
            x, target = mix(x, target, self.mixup, tf.random.fold_in(seed, 2))
        return x, target


def crop(x: tf.Tensor, width: int, seed: tf.Tensor) -> tf.Tensor:
    """Cut `width` frames from anywhere in each row; where that is all of them, time goes round."""
    n, length = tf.shape(x)[0], x.shape[_TIME]
    starts = length - width + 1 if width < length else length
    first = tf.random.stateless_uniform([n, 1], seed, maxval=starts, dtype=tf.int32)
    frames = (first + tf.range(width)) % length
    cut = tf.gather(x, frames, axis=_TIME, batch_dims=1)
    cut.set_shape([None, x.shape[1], width, x.shape[3]])
    return cut


def mask(x: tf.Tensor, axis: int, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Put the row's mean into one stretch of each row, of random length and place along an axis."""
    n, length = tf.shape(x)[0], x.shape[axis]
    drawn = tf.random.stateless_uniform([2, n], seed)
    size = drawn[0] * share * length
    first = drawn[1] * (length - size)
    position = tf.range(length, dtype=tf.float32) + 0.5
    masked = (position >= first[:, None]) & (position < (first + size)[:, None])
    shape = [n, 1, 1, 1]
    masked = tf.reshape(masked, [*shape[:axis], length, *shape[axis + 1 :]])
    return tf.where(masked, tf.reduce_mean(x, axis=(_FREQUENCY, _TIME), keepdims=True), x)


def mix(x: tf.Tensor, target: tf.Tensor, alpha: float, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each row with its neighbour in the shuffled batch, each pair by its own share."""
    # A Beta is a ratio of two Gammas.
    drawn = tf.random.stateless_gamma([2, tf.shape(x)[0]], seed, alpha=alpha)
    share = drawn[0] / tf.maximum(drawn[0] + drawn[1], 1e-12)
    by_row = tf.reshape(share, [-1] + [1] * (x.shape.rank - 1))
    return (
        by_row * x + (1.0 - by_row) * tf.roll(x, 1, axis=0),
        share[:, None] * target + (1.0 - share[:, None]) * tf.roll(target, 1, axis=0),
    )
