"""Which family gets how many trials next, as functions of plain numbers.

The BASELINEs of all families come first. Then each family in turn gets a slice of the time; a family that is
surely worse than the leader gets no more. A round is a number of trials, not a time, because a time limit
would cut the trials that run when it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.dataset.paired_tests import Paired

MIN_TRIALS = 10
"""Trials of a family before it may be stopped."""
TRIALS_PER_ROUND = 10
"""Trials of a round in a search without a time budget."""
SHORTEST_ROUND = 5.0
"""If fewer seconds are left, no round starts, because its workers need that long to start."""
_SLICES = 6
"""Rounds per family into which a time budget is cut."""
_SHORTEST_SLICE = 20.0
"""Minimum length of a round in seconds, so that the start of its workers is a small share of it."""


def slice_seconds(time_budget: float, n_families: int) -> float:
    """Return the length of a family's round, in seconds."""
    return max(_SHORTEST_SLICE, time_budget / (_SLICES * n_families))


def round_trials(
    *, ended: int, seconds: float, slice_length: float | None, concurrent: int, wanted: int | None
) -> int:
    """Return the number of trials of a family's next round; 0 if it has all requested trials.

    Parameters
    ----------
    ended : int
        Trials of the family that have ended.
    seconds : float
        Time that its rounds took so far.
    slice_length : float or None
        Length of a round in seconds; None without a time budget.
    concurrent : int
        Trials that run at the same time.
    wanted : int or None
        Total number of trials of the family; None for no limit.
    """
    if ended == 0:
        # The BASELINE; the cores that it leaves idle train the next configurations.
        trials = concurrent
    elif slice_length is None:
        trials = max(TRIALS_PER_ROUND, concurrent)
    else:
        trials = max(concurrent, int(slice_length * ended / max(seconds, 1e-3)))
    return trials if wanted is None else max(0, min(trials, wanted - ended))


def seconds_for_finals(estimates: Sequence[float], *, time_budget: float) -> float:
    """Return the seconds to keep for training the best trials of hold-out families on all folds.

    Parameters
    ----------
    estimates : sequence of float
        Estimated seconds per family, the most promising family first.
    time_budget : float
        Seconds of the whole search. At most half of it is kept, for as many families as fit.
    """
    kept = 0.0
    for seconds in estimates:
        if kept + seconds <= time_budget / 2:
            kept += seconds
    return kept


def is_surely_worse(against_leader: Paired | None, *, ended: int) -> bool:
    """Return whether a family may be stopped, given its best trial's comparison with the leader's."""
    if against_leader is None or ended < MIN_TRIALS:
        return False
    return against_leader.distinct and against_leader.worse
