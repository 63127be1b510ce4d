"""A process that a test waits for ends with that test, even if the test fails."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.support.waiting import running, wait_until

_FOR_EVER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_failed_assertion_does_not_wait_for_the_process() -> None:
    with (
        pytest.raises(AssertionError, match="waited 0 s in vain for the end of time"),
        running(_FOR_EVER) as process,
    ):
        wait_until(lambda: False, what="the end of time", seconds=0, alive=process)
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_has_ended_is_not_waited_for() -> None:
    with (
        pytest.raises(AssertionError, match="ended with status 3 before the end of time"),
        running([sys.executable, "-c", "raise SystemExit(3)"]) as process,
    ):
        wait_until(lambda: False, what="the end of time", alive=process)
