"""Run other processes, which end with their test, and wait for conditions on slow machines."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

_Value = TypeVar("_Value")


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a command in the background; a failed assertion kills it instead of waiting for its end.

    Parameters
    ----------
    command : sequence of str
        The command.
    **options
        Options of `subprocess.Popen`.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def wait_until(
    condition: Callable[[], _Value],
    *,
    what: str,
    seconds: float = 240,
    alive: subprocess.Popen[Any] | None = None,
    every: float = 0.02,
) -> _Value:
    """Return the value of a condition as soon as it is true.

    Parameters
    ----------
    condition : callable
        Called repeatedly.
    what : str
        Description of the condition, for the message.
    seconds : float
        Time limit.
    alive : Popen, optional
        A process whose end makes waiting useless.
    every : float
        Seconds between calls.

    Raises
    ------
    AssertionError
        If `alive` has ended, with its output, or the time limit is exceeded.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if alive is not None and alive.poll() is not None:
            # The condition may have become true just before the process ended.
            if value := condition():
                break
            output = alive.communicate(timeout=60)
            raise AssertionError(f"ended with status {alive.returncode} before {what}: {output}")
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(every)
    return value
