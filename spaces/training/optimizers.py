"""Keras's optimizers by the names of `spaces.training.learning_rates.OPTIMIZERS`."""

from __future__ import annotations

import keras

from spaces.training.learning_rates import OPTIMIZERS


def make_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Make an optimizer with Keras's defaults; its learning rate is set before each step.

    Raises
    ------
    ValueError
        If the name is not one of `OPTIMIZERS`.
    """
    match name:
        case "adam":
            return keras.optimizers.Adam()
        case "rmsprop":
            return keras.optimizers.RMSprop()
        case "sgd":
            return keras.optimizers.SGD(momentum=0.9, nesterov=True)
        case _:
            raise ValueError(f"optimizer {name!r} is not one of {', '.join(OPTIMIZERS)}")
