"""Errors inside a trial: which are retried, and what the others mean for the trial."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from data.errors import HarnessError, InputsChangedError
from data.io.folder import is_full
from search.outcomes import DISK_FULL, FAIL, INPUTS_CHANGED, OOM, UNREACHABLE

RETRY_SECONDS = (1.0, 4.0, 15.0, 40.0)
"""Seconds between attempts to read or write files that a trial needs."""

_Result = TypeVar("_Result")


class StorageError(HarnessError):
    """The run's folder repeatedly could not be read or written, although its disk is not full."""


def with_retries(action: Callable[[], _Result]) -> _Result:
    """Read or write the run's folder; retry for a minute, because a bucket may be briefly unreachable.

    Raises
    ------
    StorageError
        If the folder stays unreachable.
    """
    waits = iter(RETRY_SECONDS)
    while True:
        try:
            return action()
        except OSError as error:
            if is_full(error):
                raise
            seconds = next(waits, None)
            if seconds is None:
                raise StorageError(f"cannot be reached ({error})") from error
        time.sleep(seconds)


def outcome_of(error: Exception) -> str:
    """Return the outcome of a trial that ended with an exception."""
    if isinstance(error, StorageError):
        return UNREACHABLE
    # CUDA reports this only in the message, and TensorFlow wraps it in different exception classes.
    exhausted = type(error).__name__ == "ResourceExhaustedError" or "out of memory" in str(error).lower()
    if isinstance(error, MemoryError) or exhausted:
        return OOM
    cause: BaseException | None = error
    while cause is not None:
        # A full scratch folder is reported as a cache that cannot be written.
        if isinstance(cause, OSError) and is_full(cause):
            return DISK_FULL
        if isinstance(cause, InputsChangedError):
            return INPUTS_CHANGED
        cause = cause.__cause__
    return FAIL
