"""The signals of a search, in this process."""

from __future__ import annotations

import signal

from search import driver


def test_handlers_are_restored_after_training() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received: list[int] = []
    with driver._sigterm_as_sigint():
        # As Tune does, which leaves its handler behind.
        signal.signal(signal.SIGINT, lambda number, _: received.append(number))
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGINT]
    assert {number: signal.getsignal(number) for number in before} == before
