"""Optimizer updates as functions that call TensorFlow's fused kernels.

Each update equals that of the Keras optimizer of the same name with Keras's defaults. Keras's own optimizers
are not used because they leak memory: inside a ``tf.function`` they call `ReplicaContext.all_reduce`, whose
custom gradient keeps the whole graph, and with it the network of each trial, for the lifetime of the process.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from spaces.training.learning_rates import OPTIMIZERS

_N_SLOTS = {"adam": 2, "rmsprop": 2, "sgd": 1}
MAX_SLOTS = max(_N_SLOTS.values())
"""Number of slots per variable that is enough for every optimizer."""

_BETA_1, _BETA_2, _RHO, _MOMENTUM, _EPSILON = 0.9, 0.999, 0.9, 0.9, 1e-7
"""Defaults of `keras.optimizers`; SGD has Nesterov momentum."""


def slot_count(optimizer: str) -> int:
    """Return the number of slots per variable; each has the variable's shape and is initially zero.

    Raises
    ------
    ValueError
        If the name is not one of `OPTIMIZERS`.
    """
    if optimizer not in _N_SLOTS:
        raise ValueError(f"optimizer {optimizer!r} is not one of {', '.join(OPTIMIZERS)}")
    return _N_SLOTS[optimizer]


def update(
    optimizer: str,
    variable: tf.Variable,
    gradient: tf.Tensor,
    slots: Sequence[tf.Variable],
    rate: tf.Tensor,
    step: tf.Tensor,
) -> None:
    """Update a variable and its slots by one step.

    Parameters
    ----------
    optimizer : str
        One of `OPTIMIZERS`: ``adam`` (Kingma and Ba, 2015), ``rmsprop`` (Tieleman and Hinton, 2012) or
        ``sgd`` with Nesterov momentum of 0.9.
    variable : tf.Variable of float32
        The weight.
    gradient : tf.Tensor of float32, shape of the variable
        Gradient of the loss.
    slots : sequence of tf.Variable of float32, shape of the variable
        At least `slot_count` variables; further ones are ignored.
    rate : tf.Tensor of float32, shape ()
        Learning rate.
    step : tf.Tensor of float32, shape ()
        Number of this step, counted from 1.
    """
    match optimizer:
        case "adam":
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=slots[0].handle,
                v=slots[1].handle,
                beta1_power=tf.pow(_BETA_1, step),
                beta2_power=tf.pow(_BETA_2, step),
                lr=rate,
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_EPSILON,
                grad=gradient,
            )
        case "rmsprop":
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle,
                ms=slots[0].handle,
                mom=slots[1].handle,
                lr=rate,
                rho=_RHO,
                momentum=0.0,
                epsilon=_EPSILON,
                grad=gradient,
            )
        case "sgd":
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=slots[0].handle,
                lr=rate,
                momentum=_MOMENTUM,
                grad=gradient,
                use_nesterov=True,
            )
        case _:
            slot_count(optimizer)
