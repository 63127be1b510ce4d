"""Ctrl-C for Tune runs outside the main thread, where Python delivers no signals.

Tune ends a run cleanly when an event of its signal handler is set, but it installs that handler in the main
thread only. Here, the main thread has one handler, which sets the events of all runs.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ray.tune import tune


class Interruption:
    """The runs of several threads, and whether an end was requested."""

    def __init__(self) -> None:
        self._events: list[threading.Event] = []
        self._lock = threading.Lock()
        self.requested = False

    def request(self) -> None:
        """End all runs, also those that start later, as after Ctrl-C."""
        self.requested = True
        for event in list(self._events):
            event.set()

    def event(self) -> threading.Event:
        """Return the event of a run that starts; see `request`."""
        event = threading.Event()
        with self._lock:
            self._events.append(event)
        if self.requested:
            event.set()
        return event


@contextlib.contextmanager
def interruptible_threads() -> Iterator[Interruption]:
    """Let Ctrl-C and SIGTERM end the Tune runs of all threads; a second Ctrl-C does what it did before.

    Yields
    ------
    Interruption
        An end is requested by a signal, or by a thread that failed.
    """
    interruption = Interruption()
    names: Any = vars(tune)
    catching = names["_setup_signal_catching"]
    handlers: dict[int, Any] = {}

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interruption.request()
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    names["_setup_signal_catching"] = interruption.event
    try:
        yield interruption
    finally:
        names["_setup_signal_catching"] = catching
        for number, handler in handlers.items():
            signal.signal(number, handler)
