"""Early stopping by name: thin presets over Ray Tune's schedulers. The resource is the epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

SCHEDULERS = ("asha", "hyperband", "median", "none")
"""Names for ``--scheduler``."""

_MEDIAN_DECISIONS = 10
"""Number of decisions of the median rule between the grace period and the last epoch."""


def default_grace_period(max_epochs: int, *, scheduler: str = "asha", reduction_factor: int = 3) -> int:
    """Return the number of epochs before a trial may be stopped.

    A quarter of the maximum, because strongly regularised networks start slowly and often end best. HyperBand
    protects them by its brackets, so its first rung is two rungs below the last epoch.
    """
    if scheduler == "hyperband":
        return max(1, max_epochs // reduction_factor**2)
    return max(1, max_epochs // 4)


def rungs(max_epochs: int, grace_period: int, reduction_factor: int) -> list[int]:
    """Return the epochs at which ASHA decides: grace period times powers of the reduction factor.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020.
    """
    epochs = []
    rung = grace_period
    while rung < max_epochs:
        epochs.append(rung)
        rung *= reduction_factor
    return epochs


def most_brackets(max_epochs: int, grace_period: int, reduction_factor: int) -> int:
    """Return the number of distinct brackets: each has one rung less than the previous, the last has none."""
    return int(math.log(max_epochs / grace_period) / math.log(reduction_factor) + 1e-9) + 1


def milestones(name: str, *, max_epochs: int, grace_period: int, reduction_factor: int) -> list[int]:
    """Return the epochs at which a trial must report because the scheduler decides there."""
    match name:
        case "asha" | "hyperband":
            return rungs(max_epochs, grace_period, reduction_factor)
        case "median":
            step = max(1, (max_epochs - grace_period) // _MEDIAN_DECISIONS)
            return list(range(grace_period, max_epochs, step))
        case _:
            return []


def make_scheduler(
    name: str,
    *,
    max_epochs: int,
    grace_period: int,
    reduction_factor: int,
    brackets: int = 1,
    seed: int = 0,
) -> TrialScheduler:
    """Return the scheduler with the given name.

    Parameters
    ----------
    name : str
        One of `SCHEDULERS`: ``asha`` (asynchronous successive halving), ``hyperband`` (asynchronous
        HyperBand: all brackets that fit, so that some trials get more epochs before the first decision; Li et
        al., 2020), ``median`` (stop trials below the median of the other trials' running means; Golovin et
        al., 2017) or ``none``.
    max_epochs, grace_period : int
        Maximum and minimum number of epochs per trial.
    reduction_factor : int
        ASHA keeps one trial in this many at each rung.
    brackets : int
        Number of ASHA brackets.
    seed : int
        Seed for the bracket of each trial.
    """
    from ray.tune.schedulers import FIFOScheduler

    from search.tune.asha import BaselineKeepingASHA
    from search.tune.median_rule import MedianRule

    match name:
        case "asha" | "hyperband":
            most = most_brackets(max_epochs, grace_period, reduction_factor)
            return BaselineKeepingASHA(
                time_attr="epoch",
                max_t=max_epochs,
                grace_period=grace_period,
                reduction_factor=reduction_factor,
                brackets=most if name == "hyperband" else brackets,
                seed=seed,
            )
        case "median":
            decides = milestones(
                name, max_epochs=max_epochs, grace_period=grace_period, reduction_factor=reduction_factor
            )
            return MedianRule(grace_period=grace_period, milestones=decides)
        case "none":
            return FIFOScheduler()
        case _:
            raise ValueError(f"scheduler {name!r} is not one of {', '.join(SCHEDULERS)}")
