"""What the live view shows: the families of a search, their best trials, and the running ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data.dataset.scores import COLUMNS, Metric, merit, score_text
from search.outcomes import FAILED
from search.storage.columns import TrialRow
from search.storage.study import CURVE, configuration

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

WAITING, STARTING, TRAINING, STOPPED, DONE = "waiting", "starting", "training", "stopped", "done"
"""States of a family: before its turn, until a trial of its turn reports, in its turn, without further turns,
with all its trials."""


@dataclass(frozen=True)
class TrialLine:
    """A trial as the view shows it.

    Attributes
    ----------
    number : int
        Number in the order of suggestion; 0 is the BASELINE.
    status : str
        One of `search.outcomes`.
    epoch, epochs : int
        Trained epochs, and those of the configuration.
    score : float or None
        Best score so far by the metric of the run; None for a failed trial and before the first epoch.
    curve : tuple of float
        Score of each epoch.
    config : mapping
        The configuration.
    """

    number: int
    status: str
    epoch: int
    epochs: int
    score: float | None
    curve: tuple[float, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class FamilyProgress:
    """One family of a search, and its run.

    Attributes
    ----------
    run, family : str
        Names of the run and of the family.
    metric : str
        The metric of the run.
    total : int or None
        Number of trials altogether; None if only the time limits them.
    state : str
        ``waiting``, ``starting``, ``training``, ``stopped`` or ``done``.
    reason : str
        Why a stopped family gets no more trials.
    ended : list of TrialLine
        Trials that have ended, in that order.
    running : dict of str to TrialLine
        Running trials by Tune's name.
    best_scores : list of float
        Best score so far after each ended trial with a score.
    new : int
        Trials that have ended in this session.
    """

    run: str
    family: str
    metric: Metric = "accuracy"
    total: int | None = None
    state: str = WAITING
    reason: str = ""
    ended: list[TrialLine] = field(default_factory=list)
    running: dict[str, TrialLine] = field(default_factory=dict)
    best_scores: list[float] = field(default_factory=list)
    new: int = 0

    def read(self, trials: Iterable[FrozenTrial]) -> None:
        """Add the trials that have ended in earlier sessions, from the study of the run."""
        known = {line.number for line in self.ended}
        for trial in trials:
            if not trial.state.is_finished() or trial.number in known:
                continue
            attributes, config = trial.user_attrs, configuration(trial)
            status = TrialRow.of(trial).status
            curve = [row.get(COLUMNS[self.metric]) for row in attributes.get(CURVE, ())]
            self._add(
                TrialLine(
                    trial.number,
                    status,
                    int(attributes.get("epochs", 0)),
                    int(config.get("epochs", 0)),
                    None if status in FAILED else attributes.get(COLUMNS[self.metric]),
                    tuple(score for score in curve if score is not None),
                    config,
                )
            )

    def report(self, name: str, line: TrialLine) -> None:
        """Note what a running trial has reached."""
        self.state = TRAINING
        self.running[name] = line

    def end(self, name: str, line: TrialLine) -> None:
        """Note the end of a trial."""
        self.running.pop(name, None)
        self.new += 1
        self._add(line)

    def pause(self) -> None:
        """Note the end of a round."""
        self.running.clear()
        if self.state != STOPPED:
            self.state = DONE if self.total is not None and len(self.ended) >= self.total else WAITING

    def _add(self, line: TrialLine) -> None:
        self.ended.append(line)
        if line.score is not None:
            before = self.best_scores[-1] if self.best_scores else line.score
            self.best_scores.append(max(before, line.score, key=self.merit))

    def merit(self, score: float) -> float:
        """Convert a score to a number that is greater for better ones."""
        return merit(score, self.metric)

    @property
    def best(self) -> TrialLine | None:
        """The best trial so far, also of those that run; None if no trial has a score."""
        return next(iter(self.ranked([*self.ended, *self.running_lines()])), None)

    def running_lines(self) -> list[TrialLine]:
        """Return the running trials by number."""
        # A copy first, because the view is drawn by another thread than the one that changes it.
        lines = list(self.running.values())
        return sorted(lines, key=lambda line: line.number)

    def ranked(self, lines: Sequence[TrialLine]) -> list[TrialLine]:
        """Return the trials with a score, best first."""
        scored = [line for line in lines if line.score is not None]
        return sorted(scored, key=lambda line: -self.merit(line.score or 0.0))

    @property
    def curve(self) -> list[float]:
        """The best score so far after each trial, and now, as numbers that are greater for better ones."""
        best = self.best
        scores = [*self.best_scores, *([best.score] if best is not None and best.score is not None else [])]
        return [self.merit(score) for score in scores]

    def counts(self) -> str:
        """Count the ended trials by status, such as ``3 COMPLETE, 1 FAIL``."""
        counted = Counter(line.status for line in self.ended)
        return ", ".join(f"{count} {status}" for status, count in sorted(counted.items()))

    def name(self, line: TrialLine) -> str:
        """Return a trial as typed in commands."""
        return f"{self.run}:{line.number}"

    def text(self, score: float | None) -> str:
        """Format a score."""
        return "-" if score is None else score_text(score, self.metric)

    @property
    def missing(self) -> int | None:
        """Number of trials still to end; None if only the time limits them."""
        if self.state in (STOPPED, DONE):
            return 0
        return None if self.total is None else max(0, self.total - len(self.ended))


def clock(seconds: float) -> str:
    """Format a duration as ``m:ss``, from an hour on as ``h:mm:ss``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def seconds_left(
    families: Sequence[FamilyProgress], *, passed: float, before: float, time_budget: float | None
) -> float | None:
    """Estimate the time left of a whole search: of its budget, or for its trials if that is less.

    Parameters
    ----------
    families : sequence of FamilyProgress
        The families of the search.
    passed, before : float
        Seconds of this session, and of earlier ones.
    time_budget : float or None
        Seconds of all sessions together; None for no limit.

    Returns
    -------
    float or None
        Seconds; None as long as nothing tells it.
    """
    limits = []
    if time_budget is not None:
        limits.append(max(0.0, time_budget - before - passed))
    missing = [family.missing for family in families]
    ended = sum(family.new for family in families)
    if not any(number is None for number in missing):
        n_missing = sum(number or 0 for number in missing)
        if ended or not n_missing:
            limits.append(passed / max(1, ended) * n_missing)
    return min(limits, default=None)
