"""Scaling of the loss in half precision, where gradients below 6e-8 vanish and those above 65504 overflow."""

from __future__ import annotations

import tensorflow as tf

_START, _FLOOR, _CEILING = 2.0**10, 1.0, 2.0**15
_GROWTH_STEPS = 500
"""Steps in a row without overflow after which the scale is doubled."""


class LossScale:
    """A factor that adapts to the gradients (Micikevicius et al., 2018, "Mixed Precision Training")."""

    def __init__(self) -> None:
        self.value = tf.Variable(_START, trainable=False)
        self._finite_steps = tf.Variable(0.0, trainable=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """The scale and the number of steps since it changed."""
        return [self.value, self._finite_steps]

    def adapt(self, finite: tf.Tensor) -> tf.Tensor:
        """Adapt the scale after a step.

        Parameters
        ----------
        finite : tf.Tensor of bool, shape ()
            Whether all gradients were finite.

        Returns
        -------
        tf.Tensor of bool, shape ()
            Whether training continues with the next batch. After an overflow the same batch is tried again
            with half the scale, until the scale is 1: then the batch is skipped.
        """
        before = self.value.read_value()
        count = tf.where(finite, self._finite_steps + 1.0, 0.0)
        grows = count >= _GROWTH_STEPS
        grown = tf.where(grows, tf.minimum(2.0 * before, _CEILING), before)
        self.value.assign(tf.where(finite, grown, tf.maximum(0.5 * before, _FLOOR)))
        self._finite_steps.assign(tf.where(grows, 0.0, count))
        return tf.logical_or(finite, before <= _FLOOR)
