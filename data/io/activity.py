"""What a worker is doing, for long steps within one report: a text that whoever started it may show.

Code that computes for minutes calls `report_activity`. Where nobody listens, this does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

from data.io.folder import Folder

_MIN_SECONDS = 2.0
"""Minimum time between two texts that are passed on."""
_FOLDER = "activity"

Listener = Callable[[str], None]

_listener: Listener | None = None
_last = 0.0


def report_activity(text: str) -> None:
    """Pass on what this process is doing, such as ``120 of 300 pictures``; at most every two seconds."""
    global _last
    if _listener is not None and time.monotonic() > _last + _MIN_SECONDS:
        _last = time.monotonic()
        _listener(text)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass the texts of `report_activity` to a function inside this context."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


@contextlib.contextmanager
def shown_in(folder: Folder) -> Iterator[None]:
    """Write the texts into a folder, where `activities` reads them, until the end of this context.

    Parameters
    ----------
    folder : Folder
        A folder that the reader sees too, such as that of a run.
    """
    place, name = folder / _FOLDER, f"{socket.gethostname()}-{os.getpid()}.txt"
    written = False

    def write(text: str) -> None:
        nonlocal written
        # Progress is not worth a failed trial.
        with contextlib.suppress(OSError):
            place.write(name, text.encode())
            written = True

    try:
        with listening(write):
            yield
    finally:
        if written:
            with contextlib.suppress(OSError):
                place.remove(name)


def activities(folder: Folder) -> list[str]:
    """Read the texts that workers have written by `shown_in`, sorted, each once."""
    place = folder / _FOLDER
    texts = set()
    # Files come and go while they are listed.
    with contextlib.suppress(OSError):
        for name in place.names():
            with contextlib.suppress(OSError):
                texts.add(place.read(name).decode(errors="replace"))
    return sorted(texts)


def forget_activities(folder: Folder) -> None:
    """Remove what workers that were killed have left."""
    with contextlib.suppress(OSError):
        folder.remove_tree(_FOLDER)
