"""Other processes: none outlives its test, and waiting for as long as the slowest machine takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

_Found = TypeVar("_Found")


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a command meanwhile; whoever leaves early, by a failed assertion, does not wait for its end.

    Parameters
    ----------
    command : sequence of str
        The command.
    **options
        As `subprocess.Popen` takes them.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def wait_until(
    condition: Callable[[], _Found],
    *,
    what: str,
    seconds: float = 240,
    alive: subprocess.Popen[Any] | None = None,
    every: float = 0.02,
) -> _Found:
    """Give what a condition gives as soon as that counts as true.

    Parameters
    ----------
    condition : callable
        Asked again and again.
    what : str
        What is waited for, for the message.
    seconds : float
        How long, at most.
    alive : Popen, optional
        A process without which there is nothing to wait for.
    every : float
        Seconds from question to question.

    Raises
    ------
    AssertionError
        If `alive` has ended, with what it said, or the time is over.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if alive is not None and alive.poll() is not None:
            # It may have done it just before it ended.
            if found := condition():
                break
            said = alive.communicate(timeout=60)
            raise AssertionError(f"ended with status {alive.returncode} before {what}: {said}")
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(every)
    return found
