"""The live view of a whole search, of one family or several: drawn in place, or one line per event."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live

from data.console import err
from data.io.activity import activities
from data.io.counts import counted
from data.io.folder import Folder
from search.progress.drawing import Frame, draw
from search.progress.state import STARTING, STOPPED, FamilyProgress, TrialLine, clock, seconds_left

_LOOK_SECONDS = 2.0
"""Time between two looks at what workers are doing."""
_SAY_SECONDS = 15.0
"""Time between two lines about that where there is no terminal."""


class SearchView:
    """Show families, running trials, the best so far and the time left, on standard error.

    A terminal is redrawn in place; otherwise each event prints one line, which is never wrapped. Use it as a
    context manager around all rounds of a search. The callbacks of Tune (`LiveView`) write into it, also from
    other threads.

    Parameters
    ----------
    title : str
        Name of the search.
    families : sequence of FamilyProgress
        Its families.
    time_budget : float or None
        Seconds of the search over all sessions; None for no limit.
    before : float
        Seconds of earlier sessions.

    Attributes
    ----------
    leader : str or None
        The run of the family that leads, where families validate different tracks; by default, the one with
        the best score.
    """

    def __init__(
        self,
        title: str,
        families: Sequence[FamilyProgress],
        *,
        time_budget: float | None = None,
        before: float = 0.0,
    ) -> None:
        self.families = list(families)
        self.leader: str | None = None
        self._title = title
        self._budget = time_budget
        self._before = before
        self._console = err()
        self._started = time.monotonic()
        self._notes: dict[str, list[str]] = {}
        self._looked: dict[str, float] = {}
        self._said = float("-inf")
        # Redrawn at a fixed rate, not with each report.
        self._live = Live(
            console=self._console, refresh_per_second=4, transient=True, get_renderable=self._drawing
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            for family in self.families:
                self._print_earlier(family)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def family(self, name: str) -> FamilyProgress:
        """Return the progress of a family."""
        return next(progress for progress in self.families if progress.family == name)

    def start_round(self, name: str) -> FamilyProgress:
        """Note that trials of a family start."""
        progress = self.family(name)
        progress.state = STARTING
        return progress

    def stop_family(self, name: str, reason: str) -> None:
        """Note and print that a family gets no more trials."""
        progress = self.family(name)
        progress.state, progress.reason = STOPPED, reason
        self.print(f"{name} gets no more trials: {reason}")

    def trial_ended(self, progress: FamilyProgress, trial: str, line: TrialLine) -> None:
        """Note the end of a trial; without a terminal, print it."""
        progress.end(trial, line)
        if self._console.is_terminal:
            return
        score = "no score" if line.score is None else progress.text(line.score)
        n_ended = len(progress.ended)
        trials = counted(n_ended, "trial") if progress.total is None else f"{n_ended}/{progress.total} trials"
        parts = [
            f"{progress.name(line)} {line.status} after {counted(line.epoch, 'epoch')}: {score}",
            *self._best_parts(progress),
            trials,
        ]
        left = self.left()
        if left is not None:
            parts.append(f"{clock(left)} left")
        self.print("; ".join(parts))

    def look(self, progress: FamilyProgress, folder: Folder, *, waiting: bool) -> None:
        """Read now and then what workers are doing, if trials have not reported an epoch yet."""
        now = time.monotonic()
        if now < self._looked.get(progress.run, float("-inf")) + _LOOK_SECONDS:
            return
        self._looked[progress.run] = now
        notes = self._notes[progress.run] = activities(folder) if waiting else []
        if notes and not self._console.is_terminal and now > self._said + _SAY_SECONDS:
            self._said = now
            self.print("; ".join(notes))

    def print(self, line: str) -> None:
        """Print a line above the drawing."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def left(self) -> float | None:
        """Estimate the seconds left; see `seconds_left`."""
        return seconds_left(self.families, passed=self._passed, before=self._before, time_budget=self._budget)

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._started

    def _best_parts(self, progress: FamilyProgress) -> list[str]:
        """Name the best trial of a family, and the best of all if it is of another."""
        best = progress.best
        if best is None:
            return []
        parts = [f"best {progress.text(best.score)} ({progress.name(best)})"]
        leader = self._leading(progress)
        first = leader.best
        if leader is not progress and first is not None:
            parts.append(f"leader {leader.text(first.score)} ({leader.name(first)})")
        return parts

    def _leading(self, progress: FamilyProgress) -> FamilyProgress:
        """Return the family with the best trial: the one that was noted, or by the scores so far."""
        noted = [family for family in self.families if family.run == self.leader]
        scored = [family for family in self.families if family.best_scores]
        by_score = max(scored, key=lambda family: family.merit(family.best_scores[-1]), default=progress)
        return noted[0] if noted else by_score

    def _print_earlier(self, progress: FamilyProgress) -> None:
        """Print what earlier sessions reached."""
        if progress.ended:
            best = "; ".join(self._best_parts(progress)) or "no score yet"
            trials = counted(len(progress.ended), "trial")
            self.print(f"{progress.run}: {trials} so far ({progress.counts()}); {best}")

    def _drawing(self) -> Group:
        frame = Frame(
            title=self._title,
            passed=self._before + self._passed,
            left=self.left(),
            time_budget=self._budget,
            notes=self._current_notes(),
        )
        return draw(self.families, frame, width=self._console.width, height=self._console.height)

    def _current_notes(self) -> tuple[str, ...]:
        notes = [note for texts in list(self._notes.values()) for note in texts]
        starting = [progress.family for progress in self.families if progress.state == STARTING]
        if starting and not notes:
            notes.append(f"Starting trials of {', '.join(starting)} ...")
        return tuple(notes)
