"""Random augmentation of batches of spectrograms and images, inside the graph, with stateless seeds.

Batches have shape (n, height, width, channels); height is frequency, in either direction, and width is time.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from spaces.training.mixup import mix_neighbours

_FREQUENCY, _TIME = 1, 2
"""Axes of a batch."""


@dataclass(frozen=True)
class Augmentation:
    """Kinds and amounts of augmentation.

    Attributes
    ----------
    time_masks, frequency_masks : int
        Number of masks of each kind (SpecAugment: Park et al., 2019).
    mask_share : float
        Maximum length of a mask as a fraction of its axis, from 0 to 1.
    shift : bool
        Whether to rotate each row along time by a random offset, so that positions carry no information.
    mixup : float
        Parameter of the Beta distribution for mixing pairs of rows (Zhang et al., 2018); 0 disables mixing.
    """

    time_masks: int = 0
    frequency_masks: int = 0
    mask_share: float = 0.0
    shift: bool = False
    mixup: float = 0.0

    def __call__(self, x: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Augment a batch.

        Parameters
        ----------
        x : tf.Tensor of float32, shape (n, height, width, channels)
            Inputs. Vectors, of shape (n, n_inputs), are only mixed.
        target : tf.Tensor of float32, shape (n, n_classes)
            Fractions of the genres.
        seed : tf.Tensor of int32, shape (2,)
            Seed of the step.

        Returns
        -------
        x, target : tf.Tensor of float32
            The augmented batch, in the shapes of the arguments.
        """
        if x.shape.rank == 4:
            if self.shift:
                x = crop(x, x.shape[_TIME], tf.random.fold_in(seed, 1))
            for axis, count in ((_TIME, self.time_masks), (_FREQUENCY, self.frequency_masks)):
                for number in range(count):
                    x = mask(x, axis, self.mask_share, tf.random.fold_in(seed, 10 * axis + number))
        if self.mixup > 0:
            x, target = mix_neighbours((x, target), self.mixup, tf.random.fold_in(seed, 2))
        return x, target


def crop(x: tf.Tensor, width: int, seed: tf.Tensor) -> tf.Tensor:
    """Cut `width` consecutive frames at a random position of each row; a full-width cut wraps around."""
    n, length = tf.shape(x)[0], x.shape[_TIME]
    n_starts = length - width + 1 if width < length else length
    starts = tf.random.stateless_uniform([n, 1], seed, maxval=n_starts, dtype=tf.int32)
    frames = (starts + tf.range(width)) % length
    cropped = tf.gather(x, frames, axis=_TIME, batch_dims=1)
    cropped.set_shape([None, x.shape[1], width, x.shape[3]])
    return cropped


def mask(x: tf.Tensor, axis: int, max_fraction: float, seed: tf.Tensor) -> tf.Tensor:
    """Replace one interval of an axis, of random length and position, by the mean of each row."""
    n, length = tf.shape(x)[0], x.shape[axis]
    draws = tf.random.stateless_uniform([2, n], seed)
    size = draws[0] * max_fraction * length
    start = draws[1] * (length - size)
    position = tf.range(length, dtype=tf.float32) + 0.5
    masked = (position >= start[:, None]) & (position < (start + size)[:, None])
    shape = [n, 1, 1, 1]
    masked = tf.reshape(masked, [*shape[:axis], length, *shape[axis + 1 :]])
    return tf.where(masked, tf.reduce_mean(x, axis=(_FREQUENCY, _TIME), keepdims=True), x)
