"""Outcomes of a trial, as trials report them, tables store them, and every command prints them."""

from __future__ import annotations

COMPLETE, RUNNING, FAIL, OOM = "COMPLETE", "RUNNING", "FAIL", "OOM"
PRUNED = "PRUNED"
"""Status of a trial that was stopped early; its score is that of its best epoch before."""
DISK_FULL, UNREACHABLE, INPUTS_CHANGED = "DISK_FULL", "UNREACHABLE", "INPUTS_CHANGED"

FAILED = (FAIL, OOM)
"""Outcomes without a score."""

SUSPENDED = (DISK_FULL, UNREACHABLE, INPUTS_CHANGED)
"""Failures of storage or data: the search stops; resuming continues the trial."""


def status_of(outcome: str, *, ended: bool, died: bool = False) -> str:
    """Return the status of a trial: the word of the tables, the log and the live view.

    Parameters
    ----------
    outcome : str
        What the trial reported last.
    ended : bool
        Whether the trial has ended.
    died : bool
        Whether its worker process died more often than it is restarted.
    """
    if outcome in FAILED or outcome == COMPLETE:
        return outcome
    if died:
        return FAIL
    return PRUNED if ended else RUNNING
