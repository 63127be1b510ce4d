"""The points of a trial at which a scheduler decides, as shares of the trial's own number of epochs.

Trials of a search have different horizons (parameter ``epochs``), and their learning rates are scheduled over
these. After 25 epochs, a trial of 30 epochs has almost ended, while a trial of 100 has hardly begun.
Therefore trials are compared at equal shares of their horizons. No rung is beyond two thirds: a trial stopped
there would save few epochs, and the sampler would rank it below trials that it may have beaten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

RungUnit = Literal["share", "epochs"]
"""Unit of rungs: shares of each trial's epochs, or epochs (runs of format 1)."""

LAST_SHARE = 2 / 3
"""Largest share of its epochs after which a trial is stopped."""
_DEFAULT_SHARE = 0.25
"""Strongly regularised networks start slowly and often end best."""
_MEDIAN_DECISIONS = 10
"""Number of decisions of the median rule."""
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rungs:
    """Points at which a scheduler decides.

    Attributes
    ----------
    values : tuple of float
        Ascending, in `unit`.
    unit : str
        ``share`` of a trial's own epochs, or ``epochs`` that are equal for all trials.
    min_epochs : int
        Epochs that a trial trains at least before a decision.
    """

    values: tuple[float, ...] = ()
    unit: RungUnit = "share"
    min_epochs: int = 1

    def epoch(self, value: float, horizon: int) -> int:
        """Return the epoch of a rung, from 1, for a trial of `horizon` epochs."""
        if self.unit == "epochs":
            return int(value)
        return max(math.ceil(value * horizon - _TOLERANCE), self.min_epochs)

    def of(self, horizon: int) -> dict[int, float]:
        """Return the rung that a trial reaches at each epoch at which it is judged.

        A rung that `min_epochs` would move beyond `LAST_SHARE`, or to the end of the trial, is left out. If
        two rungs are at the same epoch, the later one counts.
        """
        rungs = {}
        for value in self.values:
            epoch = self.epoch(value, horizon)
            moved = self.unit == "share" and epoch > max(1, math.ceil(LAST_SHARE * horizon - _TOLERANCE))
            if epoch < horizon and not moved:
                rungs[epoch] = value
        return rungs

    def reached(self, epoch: int, horizon: int) -> float:
        """Return the last rung that a trial has reached after `epoch` epochs; 0 for none."""
        return max((value for at, value in self.of(horizon).items() if at <= epoch), default=0.0)


def make_rungs(
    scheduler: str, *, grace_period: float | None, reduction_factor: int, min_epochs: int
) -> Rungs:
    """Return the rungs of a scheduler.

    ASHA decides at the first rung times powers of the reduction factor (Li et al., "A System for Massively
    Parallel Hyperparameter Tuning", 2020).

    Parameters
    ----------
    scheduler : str
        One of `search.tune.schedulers.SCHEDULERS`.
    grace_period : float or None
        Share of its epochs after which a trial is first judged. None for a quarter, and for ``hyperband``,
        whose brackets protect trials that start slowly, two rungs below the end; then no trial is judged
        before `min_epochs`.
    reduction_factor : int
        ASHA continues one trial in this many at each rung.
    min_epochs : int
        The family's minimum (`spaces.training.family.Family.min_epochs`).
    """
    if scheduler == "none":
        return Rungs()
    default = reduction_factor**-2 if scheduler == "hyperband" else _DEFAULT_SHARE
    first = default if grace_period is None else grace_period
    minimum = min_epochs if grace_period is None else 1
    if scheduler == "median":
        step = (LAST_SHARE - first) / (_MEDIAN_DECISIONS - 1)
        return Rungs(tuple(first + step * number for number in range(_MEDIAN_DECISIONS)), "share", minimum)
    values = []
    share = first
    while share <= LAST_SHARE + _TOLERANCE:
        values.append(share)
        share *= reduction_factor
    return Rungs(tuple(values), "share", minimum)


def rungs_of_format_1(
    scheduler: str, *, max_epochs: int, grace_period: int | None, reduction_factor: int
) -> Rungs:
    """Return the rungs of a run that an earlier version began, in epochs.

    The grace period was a number of epochs, by default a quarter of the maximum.
    """
    if scheduler == "none":
        return Rungs(unit="epochs")
    divisor = reduction_factor**2 if scheduler == "hyperband" else 4
    epochs = grace_period or max(1, max_epochs // divisor)
    if scheduler == "median":
        step = max(1, (max_epochs - epochs) // _MEDIAN_DECISIONS)
        return Rungs(tuple(range(epochs, max_epochs, step)), "epochs")
    values = []
    while epochs < max_epochs:
        values.append(epochs)
        epochs *= reduction_factor
    return Rungs(tuple(values), "epochs")
