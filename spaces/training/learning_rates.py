"""Optimizers by name, and learning rates as plain arrays, so that one compiled epoch serves them all."""

from __future__ import annotations

import numpy as np

OPTIMIZERS = ("adam", "rmsprop", "sgd")
"""Names of the optimizers that obey the schedules; ``sgd`` has Nesterov momentum of 0.9."""

SCHEDULES = ("constant", "cosine", "exponential")
"""Names of the schedules."""

_FINAL_SHARE = 0.01
"""The exponential schedule ends at this share of the first rate."""


def learning_rates(schedule: str, peak: float, *, epoch: int, epochs: int, steps: int) -> np.ndarray:
    """Learning rate of each step of one epoch.

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`: ``constant``; ``cosine``, half a period down to zero (Loshchilov and Hutter,
        2017, without restarts); ``exponential``, down to 1 % of the peak.
    peak : float
        The rate at the first step.
    epoch : int
        The epoch, from 0.
    epochs : int
        The horizon: how many epochs the schedule spans. Later epochs keep the last rate.
    steps : int
        Steps of an epoch.

    Returns
    -------
    ndarray of float32, shape (steps,)
        The rates.
    """
    done = np.minimum((epoch * steps + np.arange(steps)) / (epochs * steps), 1.0)
    match schedule:
        case "constant":
            factor = np.ones(steps)
        case "cosine":
            factor = 0.5 * (1.0 + np.cos(np.pi * done))
        case "exponential":
            factor = _FINAL_SHARE**done
        case _:
            raise ValueError(f"schedule {schedule!r} is not one of {', '.join(SCHEDULES)}")
    return (peak * factor).astype(np.float32)
