"""Outcomes of a trial, as trials report them and tables store them."""

from __future__ import annotations

COMPLETE, RUNNING, FAIL, OOM = "COMPLETE", "RUNNING", "FAIL", "OOM"
DISK_FULL, UNREACHABLE, INPUTS_CHANGED = "DISK_FULL", "UNREACHABLE", "INPUTS_CHANGED"

FAILED = (FAIL, OOM)
"""Outcomes without a score."""

SUSPENDED = (DISK_FULL, UNREACHABLE, INPUTS_CHANGED)
"""Failures of storage or data: the search stops; resuming continues the trial."""
