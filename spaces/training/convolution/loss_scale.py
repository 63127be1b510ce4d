"""Scaling of the loss for half precision: gradients below 6e-8 vanish, those above 65504 overflow."""

from __future__ import annotations

import tensorflow as tf

_START, _FLOOR, _CEILING = 2.0**10, 1.0, 2.0**15
"""Initial, smallest and largest scale."""
_GROWTH_STEPS = 500
"""Number of consecutive steps without overflow after which the scale is doubled."""


class LossScale:
    """Scale that adapts to the gradients (Micikevicius et al., 2018, "Mixed Precision Training")."""

    def __init__(self) -> None:
        self.value = tf.Variable(_START, trainable=False)
        self._finite_steps = tf.Variable(0.0, trainable=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """The scale and the number of finite steps since it changed."""
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
            Whether training continues with the next batch. After an overflow, the same batch is repeated with
            half the scale; with a scale of 1, it is skipped.
        """
        scale = self.value.read_value()
        count = tf.where(finite, self._finite_steps + 1.0, 0.0)
        grows = count >= _GROWTH_STEPS
        grown = tf.where(grows, tf.minimum(2.0 * scale, _CEILING), scale)
        self.value.assign(tf.where(finite, grown, tf.maximum(0.5 * scale, _FLOOR)))
        self._finite_steps.assign(tf.where(grows, 0.0, count))
        return tf.logical_or(finite, scale <= _FLOOR)
