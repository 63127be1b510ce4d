"""The progress of long commands over files: a bar on a terminal, otherwise lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from data.io.stages import Stages
from data.io.terminal import err

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text


@contextmanager
def counted_files(action: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error how many files are done.

    Parameters
    ----------
    action : str
        What is done, such as ``Analysing``.
    total : int
        Number of files; nothing is shown for none.

    Yields
    ------
    callable
        To be called with the number of files that were done since the last call.
    """
    if not total:
        yield lambda _: None
    elif err().is_terminal:
        with _bar() as progress:
            task = progress.add_task(action.lower(), total=total)
            yield lambda count: progress.advance(task, count)
    else:
        with Stages() as stage:
            stage(action)
            done = 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                stage.count(done, total, "files")

            yield advance


def _bar() -> Progress:
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
