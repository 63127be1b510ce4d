"""Early stopping by name: thin presets over Ray Tune's schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.storage.rungs import Rungs

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

SCHEDULERS = ("asha", "hyperband", "median", "none")
"""Names for ``--scheduler``."""


def most_brackets(rungs: Rungs) -> int:
    """Return the number of distinct brackets: each has one rung less than the previous, the last has none."""
    return len(rungs.values) + 1


def make_scheduler(
    name: str, *, rungs: Rungs, reduction_factor: int, brackets: int = 1, seed: int = 0
) -> TrialScheduler:
    """Return the scheduler with the given name.

    Parameters
    ----------
    name : str
        One of `SCHEDULERS`: ``asha`` (asynchronous successive halving), ``hyperband`` (asynchronous
        HyperBand: all brackets that fit, so that some trials get more epochs before the first decision; Li et
        al., 2020), ``median`` (stop trials below the median of the other trials' running means; Golovin et
        al., 2017) or ``none``.
    rungs : Rungs
        Where it decides.
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
            if not rungs.values:
                return FIFOScheduler()
            return BaselineKeepingASHA(
                rungs=rungs,
                reduction_factor=reduction_factor,
                brackets=most_brackets(rungs) if name == "hyperband" else brackets,
                seed=seed,
            )
        case "median":
            return MedianRule(rungs)
        case "none":
            return FIFOScheduler()
        case _:
            raise ValueError(f"scheduler {name!r} is not one of {', '.join(SCHEDULERS)}")
