"""Signs of life while nothing else is drawn: what is being done right now."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from data.io.terminal import err

if TYPE_CHECKING:
    from rich.status import Status

LINE_SECONDS = 10.0
"""Without a terminal, a long stage prints a line each time this many seconds have passed."""


class Stages:
    """Show the current stage on standard error: a spinner on a terminal, otherwise one line per stage.

    Use it as a context manager, and call it with the name of each stage. It must be closed before another
    live view is drawn.

    Parameters
    ----------
    lines : bool
        Whether to print lines where there is no terminal; False for stages that are short on most data.
    """

    def __init__(self, *, lines: bool = True) -> None:
        self._lines = lines
        self._status: Status | None = None
        self._stage = ""
        self._printed = 0.0

    def __enter__(self) -> Stages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, stage: str) -> None:
        """Show the next stage, such as ``Starting Ray``."""
        self._stage = stage
        self._show(f"{stage} ...", at_once=True)

    def count(self, done: int, total: int, unit: str) -> None:
        """Show how much of the current stage is done; without a terminal, at most every ten seconds."""
        self._show(f"{self._stage} ... {done} of {total} {unit}", at_once=False)

    def _show(self, text: str, *, at_once: bool) -> None:
        console = err()
        if not console.is_terminal:
            if self._lines and (at_once or time.monotonic() - self._printed >= LINE_SECONDS):
                self._printed = time.monotonic()
                console.print(text, highlight=False, soft_wrap=True)
        elif self._status is None:
            self._status = console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def close(self) -> None:
        """Remove the spinner."""
        if self._status is not None:
            self._status.stop()
            self._status = None


class _NoStages(Stages):
    def _show(self, text: str, *, at_once: bool) -> None:
        pass


NO_STAGES = _NoStages()
"""Shows nothing, for callers from Python."""
