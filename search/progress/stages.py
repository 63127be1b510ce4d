"""Signs of life before the first trial reports: what is being done right now."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from data.console import err

if TYPE_CHECKING:
    from rich.status import Status


class Stages:
    """Show the current stage on standard error: a spinner on a terminal, otherwise one line per stage.

    Use it as a context manager, and call it with the name of each stage. It must be closed before another
    live view is drawn.
    """

    def __init__(self) -> None:
        self._status: Status | None = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, stage: str) -> None:
        """Show the next stage, such as ``Starting Ray``."""
        console = err()
        if not console.is_terminal:
            console.print(f"{stage} ...", highlight=False, soft_wrap=True)
        elif self._status is None:
            self._status = console.status(f"{stage} ...")
            self._status.start()
        else:
            self._status.update(f"{stage} ...")

    def close(self) -> None:
        """Remove the spinner."""
        if self._status is not None:
            self._status.stop()
            self._status = None
