"""The progress bar of long commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.io.terminal import err

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text


def file_progress() -> Progress:
    """Make a progress bar on standard error that counts files."""
    from rich import progress
    from rich.text import Text

    class _SpeedColumn(progress.ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} files/s")

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        _SpeedColumn(),
        progress.TimeRemainingColumn(),
        console=err(),
    )
