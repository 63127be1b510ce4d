"""When a search ends before its last trial: a score that is good enough, no progress, nowhere to write."""

from __future__ import annotations

import warnings
from typing import Any

from optuna.terminator import BestValueStagnationEvaluator, StaticErrorEvaluator, Terminator
from ray import tune

from data.io.folder import is_full
from search.storage.run_folder import last_words
from search.tune.optuna_searcher import TruthfulOptunaSearch
from search.tune.trial import DISK_FULL, SUSPENDED, accuracy

TARGET, STAGNATION = "target", "stagnation"
"""Reasons of a search that is finished, as ``run.json`` gives them."""
NO_SPACE, NO_STORAGE = "disk full", "storage"
"""Reasons of one that waits to be resumed."""


class Ending(tune.Stopper):
    """Stops the whole search, and says why.

    Attributes
    ----------
    reason : str or None
        One of the reasons above, once there is one.
    told : str
        What a trial said of a disk that is full, where it is another than the run's, or why the run's folder
        cannot be read or written.

    Parameters
    ----------
    searcher : TruthfulOptunaSearch
        Whom the trials are told.
    target : float or None
        Validation accuracy that is enough.
    stagnation : int or None
        Trials in a row, trained to their end, without a better one (Optuna's terminator).
    """

    def __init__(
        self, searcher: TruthfulOptunaSearch, *, target: float | None, stagnation: int | None
    ) -> None:
        self.reason: str | None = None
        self.told = ""
        self._searcher = searcher
        self._target = target
        # A search that was killed between the trial that reached it and its end.
        if target is not None:
            told = searcher.study.get_trials(deepcopy=False)
            if any(accuracy(one.user_attrs) >= target for one in told):
                self.reason = TARGET
        self._terminator = None
        if stagnation is not None:
            with warnings.catch_warnings():
                # Experimental once, deprecated now: Optuna 5, which is required, has it.
                warnings.simplefilter("ignore")
                self._terminator = Terminator(
                    improvement_evaluator=BestValueStagnationEvaluator(max_stagnation_trials=stagnation),
                    error_evaluator=StaticErrorEvaluator(constant=0.5),
                    min_n_trials=1,
                )
        self._ended = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Look at a report; the trial that reaches the target trains no further."""
        reached = self._target is not None and accuracy(result) >= self._target
        if result["outcome"] in SUSPENDED:
            self.reason = NO_SPACE if result["outcome"] == DISK_FULL else NO_STORAGE
            self.told = _own_words(result["error"])
        elif reached:
            self.reason = TARGET
        self._ended |= bool(result["done"])
        return reached

    def stop_all(self) -> bool:
        """Whether to end; the terminator is asked after a trial has ended, when the study knows of it."""
        failure = self._searcher.failure
        if failure is not None:
            self.reason, self.told = NO_STORAGE, f"cannot be written ({failure})"
            if is_full(failure):
                self.reason, self.told = NO_SPACE, ""
        if self._ended and self.reason is None and self._terminator is not None:
            self._ended = False
            if self._terminator.should_terminate(self._searcher.study):
                self.reason = STAGNATION
        return self.reason is not None


def _own_words(error: str) -> str:
    """Return what an error of this program says, of its traceback; nothing of a system's error."""
    kind, _, told = last_words(error).partition(": ")
    return told if kind.startswith(("data.errors.", "search.tune.trial.StorageError")) else ""
