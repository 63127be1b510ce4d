"""Stop a search before its last trial: target reached, no progress, or storage failure."""

from __future__ import annotations

import warnings
from typing import Any

from optuna.terminator import BestValueStagnationEvaluator, StaticErrorEvaluator, Terminator
from ray import tune

from data.dataset.scores import Metric
from data.io.folder import is_full
from search.outcomes import DISK_FULL, INPUTS_CHANGED, SUSPENDED, UNREACHABLE
from search.storage.run_folder import last_words
from search.tune.optuna_searcher import TruthfulOptunaSearch
from search.tune.reports import reported_merit

TARGET, STAGNATION = "target", "stagnation"
"""Reasons in ``run.json`` for a finished search."""
NO_SPACE, NO_STORAGE, NO_INPUTS = "disk full", "storage", "inputs changed"
"""Reasons for a search that can be resumed."""
_REASONS = {DISK_FULL: NO_SPACE, UNREACHABLE: NO_STORAGE, INPUTS_CHANGED: NO_INPUTS}


class Ending(tune.Stopper):
    """Stop the whole search and record the reason.

    Attributes
    ----------
    reason : str or None
        One of the reasons above once the search has to stop.
    details : str
        A trial's message about a full disk other than that of the run or about changed inputs, or why the
        run's folder cannot be read or written.

    Parameters
    ----------
    searcher : TruthfulOptunaSearch
        The searcher whose study contains the trials.
    target : float or None
        Score at which the search stops, as a number that is greater if better; see
        `data.dataset.scores.merit`.
    stagnation : int or None
        Number of completed trials in a row without improvement (Optuna's terminator).
    metric : str
        The metric of the score.
    """

    def __init__(
        self,
        searcher: TruthfulOptunaSearch,
        *,
        target: float | None,
        stagnation: int | None,
        metric: Metric = "accuracy",
    ) -> None:
        self.reason: str | None = None
        self.details = ""
        self._searcher = searcher
        self._target = target
        self._metric = metric
        # The search may have been killed after a trial reached the target.
        if target is not None:
            trials = searcher.study.get_trials(deepcopy=False)
            if any(reported_merit(trial.user_attrs, metric) >= target for trial in trials):
                self.reason = TARGET
        self._terminator = None
        if stagnation is not None:
            with warnings.catch_warnings():
                # Optuna 5 marks the terminator as experimental, but the lock file pins that version.
                warnings.simplefilter("ignore")
                self._terminator = Terminator(
                    improvement_evaluator=BestValueStagnationEvaluator(max_stagnation_trials=stagnation),
                    error_evaluator=StaticErrorEvaluator(constant=0.5),
                    min_n_trials=1,
                )
        self._ended = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Check a report; return whether the trial reached the target and stops."""
        reached = self._target is not None and reported_merit(result, self._metric) >= self._target
        if result["outcome"] in SUSPENDED:
            self.reason = _REASONS[result["outcome"]]
            self.details = _own_message(result["error"])
        elif reached:
            self.reason = TARGET
        self._ended |= bool(result["done"])
        return reached

    def stop_all(self) -> bool:
        """Return whether to stop; the terminator runs after a trial ends, because it reads the study."""
        failure = self._searcher.failure
        if failure is not None:
            self.reason, self.details = NO_STORAGE, f"cannot be written ({failure})"
            if is_full(failure):
                self.reason, self.details = NO_SPACE, ""
        if self._ended and self.reason is None and self._terminator is not None:
            self._ended = False
            if self._terminator.should_terminate(self._searcher.study):
                self.reason = STAGNATION
        return self.reason is not None


def _own_message(error: str) -> str:
    """Return the message of a traceback by an error class of this project; otherwise an empty string."""
    kind, _, message = last_words(error).partition(": ")
    return message if kind.startswith(("data.errors.", "search.tune.failures.StorageError")) else ""
