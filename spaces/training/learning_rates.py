"""Names of optimizers and schedules, and learning rates as arrays.

The rates are arguments of a compiled epoch, so that one compilation serves all schedules.
"""

from __future__ import annotations

import numpy as np

OPTIMIZERS = ("adam", "rmsprop", "sgd")
"""Names of the optimizers; ``sgd`` has Nesterov momentum of 0.9."""

SCHEDULES = ("constant", "cosine", "exponential")
"""Names of the learning rate schedules."""

_FINAL_FRACTION = 0.01
"""Fraction of the first rate at which the exponential schedule ends."""


def learning_rates(schedule: str, peak: float, *, epoch: int, epochs: int, steps: int) -> np.ndarray:
    """Return the learning rate of each step of one epoch.

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`: ``constant``; ``cosine``, half a period down to zero (Loshchilov and Hutter,
        2017, without restarts); ``exponential``, down to 1 % of the peak.
    peak : float
        Rate of the first step of the first epoch.
    epoch : int
        Number of the epoch, from 0.
    epochs : int
        Horizon: number of epochs that the schedule spans. Later epochs keep the last rate.
    steps : int
        Number of steps per epoch.

    Returns
    -------
    ndarray of float32, shape (steps,)
        Learning rates.
    """
    progress = np.minimum((epoch * steps + np.arange(steps)) / (epochs * steps), 1.0)
    match schedule:
        case "constant":
            factor = np.ones(steps)
        case "cosine":
            factor = 0.5 * (1.0 + np.cos(np.pi * progress))
        case "exponential":
            factor = _FINAL_FRACTION**progress
        case _:
            raise ValueError(f"schedule {schedule!r} is not one of {', '.join(SCHEDULES)}")
    return (peak * factor).astype(np.float32)
