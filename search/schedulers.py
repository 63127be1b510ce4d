"""Named early stopping: thin presets over Ray Tune's own. The resource is the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

SCHEDULERS = ("asha", "median", "none")
"""Names for ``--scheduler``."""


def default_grace_period(max_epochs: int) -> int:
    """Give a quarter of the epochs: strongly regularised networks, the best at last, start slowly."""
    return max(1, max_epochs // 4)


def rungs(max_epochs: int, grace_period: int, reduction_factor: int) -> list[int]:
    """Epochs at which ASHA decides: grace period times powers of the reduction factor (Li et al., 2020)."""
    epochs = []
    rung = grace_period
    while rung < max_epochs:
        epochs.append(rung)
        rung *= reduction_factor
    return epochs


def make_scheduler(name: str, *, max_epochs: int, grace_period: int, reduction_factor: int) -> TrialScheduler:
    """Make the scheduler of a name.

    Parameters
    ----------
    name : str
        One of `SCHEDULERS`: ``asha``, asynchronous successive halving; ``median``, which stops what is below
        the median of the others' running means (Golovin et al., 2017); ``none``.
    max_epochs, grace_period : int
        In epochs.
    reduction_factor : int
        ASHA keeps one trial in this many at each rung.
    """
    from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule

    from search.asha import BaselineKeepingASHA

    common: dict[str, Any] = {"time_attr": "epoch", "grace_period": grace_period}
    match name:
        case "asha":
            return BaselineKeepingASHA(max_t=max_epochs, reduction_factor=reduction_factor, **common)
        case "median":
            return MedianStoppingRule(**common)
        case "none":
            return FIFOScheduler()
        case _:
            raise ValueError(f"scheduler {name!r} is not one of {', '.join(SCHEDULERS)}")
