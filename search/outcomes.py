"""Outcomes of a trial, as trials report them and tables store them."""

from __future__ import annotations

COMPLETE, RUNNING, FAIL, OOM = "COMPLETE", "RUNNING", "FAIL", "OOM"
DISK_FULL, UNREACHABLE = "DISK_FULL", "UNREACHABLE"

FAILED = (FAIL, OOM)
"""Outcomes without a score."""

SUSPENDED = (DISK_FULL, UNREACHABLE)
"""Storage failures: the search stops; resuming continues the trial."""
