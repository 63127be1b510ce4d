"""The live view of a running search, which replaces Tune's log."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from data.console import err
from data.io.activity import activities
from data.io.extras import install_command
from data.io.folder import Folder
from search.outcomes import COMPLETE, FAILED, RUNNING
from search.tune.trial import TRIAL_NUMBER, accuracy

_N_BEST = 5
"""Number of trials in the table of the best."""
_LOOK_SECONDS = 2.0
"""Time between two looks at what workers are doing."""
_SAY_SECONDS = 15.0
"""Time between two such lines where there is no terminal."""


@dataclass(frozen=True)
class FamilyLine:
    """A family in the view of a search over several.

    Attributes
    ----------
    family : str
        Its name.
    trials : int
        Trials that have ended.
    best : float or None
        Its best score so far.
    state : str
        ``training``, ``waiting`` or ``stopped``.
    """

    family: str
    trials: int
    best: float | None
    state: str


class LiveView(Callback):
    """Show finished, running and stopped trials, the best score so far and the time left.

    A terminal is redrawn in place; otherwise each ended trial prints one line.

    Parameters
    ----------
    title : str
        Title of the view.
    trials : int
        Total number of trials.
    time_budget : float or None
        Maximum duration of the search in seconds.
    ended : int
        Number of trials that ended in earlier sessions.
    best : float
        Best accuracy of those trials.
    families : sequence of FamilyLine
        The families of a search over several, which are drawn above the trials.
    folder : Folder, optional
        Folder of the run, in which workers say what a long step is doing.
    """

    def __init__(
        self,
        title: str,
        *,
        trials: int,
        time_budget: float | None,
        ended: int = 0,
        best: float = 0.0,
        families: Sequence[FamilyLine] = (),
        folder: Folder | None = None,
    ) -> None:
        self._folder = folder
        self._families = tuple(families)
        self._title = title
        self._total = trials
        self._budget = time_budget
        self._before = ended
        self._best = best

    def setup(self, *args: Any, **info: Any) -> None:
        """Start drawing; not earlier, because Tune pickles its callbacks."""
        self._console = err()
        self._started = time.monotonic()
        self._ended: set[str] = set()
        self._progress = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._bar = self._progress.add_task(self._title, total=self._total, completed=self._done)
        self._trials: list[Trial] = []
        self._warned = False
        self._activities: list[str] = []
        self._looked = self._said = -math.inf
        # Redrawn at a fixed rate, not with each report.
        self._live = Live(
            console=self._console, refresh_per_second=4, transient=True, get_renderable=self._drawing
        )
        if self._console.is_terminal:
            self._live.start()

    def __getstate__(self) -> dict[str, Any]:
        names = ("_title", "_total", "_budget", "_before", "_best", "_families", "_folder")
        return {name: self.__dict__[name] for name in names}

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Restore the terminal."""
        self._live.stop()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look now and then what trials that have not reported an epoch are doing."""
        passed = time.monotonic()
        waiting = any(trial.status == Trial.RUNNING and not _epochs(trial) for trial in trials)
        if self._folder is None or passed < self._looked + _LOOK_SECONDS:
            return
        self._looked = passed
        self._activities = activities(self._folder) if waiting else []
        if self._activities and not self._console.is_terminal and passed > self._said + _SAY_SECONDS:
            self._said = passed
            self._console.print("; ".join(self._activities), highlight=False, soft_wrap=True)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Update the trials to draw; warn once if TensorFlow sees no GPU."""
        self._trials = trials
        if not result.get("sees_gpu", True) and not self._warned:
            self._warned = True
            self._console.print(
                f"TensorFlow sees no GPU on {result.get('hostname', 'a node')}, although trials reserve one,"
                " so they train on the CPU. Install the CUDA libraries there: " + install_command("gpu"),
                highlight=False,
                soft_wrap=True,
            )

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial that ended or was stopped."""
        self._end(trials, trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial whose worker was restarted too often."""
        self._end(trials, trial)

    def _end(self, trials: list[Trial], trial: Trial) -> None:
        self._trials = trials
        self._ended.add(trial.trial_id)
        self._best = max(self._best, _accuracy(trial))
        self._progress.update(self._bar, completed=self._done)
        if self._console.is_terminal:
            return
        training = next((f"{line.family}: " for line in self._families if line.state == "training"), "")
        self._console.print(
            f"{training}trial {_number(trial)} {_word(trial, ended=True)} after {_epochs(trial)} epochs:"
            f" {_accuracy(trial):.1%}; best {self._best:.1%}; {self._done}/{self._total} done,"
            f" {self._left()} left",
            highlight=False,
        )

    @property
    def _done(self) -> int:
        return self._before + len(self._ended)

    def _drawing(self) -> Group:
        trials = list(self._trials)
        running = sum(trial.trial_id not in self._ended and trial.status == Trial.RUNNING for trial in trials)
        words = Counter(_word(trial, ended=True) for trial in trials if trial.trial_id in self._ended)
        counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        best = sorted(trials, key=_accuracy, reverse=True)[:_N_BEST]
        table = Table("trial", "val accuracy", "epochs", "state", box=None, pad_edge=False)
        for trial in best:
            if _epochs(trial):
                name = "BASELINE" if _number(trial) == 0 else str(_number(trial))
                word = _word(trial, ended=trial.trial_id in self._ended)
                table.add_row(name, f"{_accuracy(trial):.1%}", str(_epochs(trial)), word)
        lines = [f"{running} running; {counts or 'none ended yet'}; about {self._left()} left"]
        status = Text("\n".join([*lines, *self._activities]))
        if not self._families:
            return Group(self._progress, status, table)
        families = Table("family", "trials", "best", "state", box=None, pad_edge=False)
        for line in self._families:
            best_score = "-" if line.best is None else f"{line.best:.1%}"
            families.add_row(line.family, str(line.trials), best_score, line.state)
        return Group(families, self._progress, status, table)

    def _left(self) -> str:
        passed = time.monotonic() - self._started
        if not self._ended:
            return "?"
        seconds = passed / len(self._ended) * (self._total - self._done)
        if self._budget is not None:
            seconds = min(seconds, max(0.0, self._budget - passed))
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes}:{seconds:02d}"


def _accuracy(trial: Trial) -> float:
    # A trial whose worker died too often has no score, whatever it reported.
    return 0.0 if trial.status == Trial.ERROR else accuracy(trial.last_result or {})


def _epochs(trial: Trial) -> int:
    return int((trial.last_result or {}).get("epoch", 0))


def _number(trial: Trial) -> int:
    return int(trial.config.get(TRIAL_NUMBER, -1))


def _word(trial: Trial, *, ended: bool) -> str:
    """Return the state of a trial as a word for the user."""
    outcome = (trial.last_result or {}).get("outcome", RUNNING)
    if outcome in FAILED or trial.status == Trial.ERROR:
        return "failed"
    if outcome == COMPLETE:
        return "complete"
    return "stopped" if ended else "running"
