"""Ray's OptunaSearch, telling Optuna what happened.

Ray tells every ended trial as COMPLETE with its last value. Here a trial that was stopped early is PRUNED,
one that failed is FAIL, and the whole curve is in the study as intermediate values, a step an epoch.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search.storage.journal_backend import Journal
from search.storage.study import FIXED
from search.tune.trial import COMPLETE, FAILED, SUSPENDED, TRIAL_ID, TRIAL_NUMBER, accuracy

_Result = TypeVar("_Result")

CURVE = "curve"
"""User attribute that holds all epochs, as a list of dicts."""

SUMMARY = (
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "train_accuracy",
    "params",
    "seconds",
    "node",
    "outcome",
    "error",
)
"""User attributes that a trial ends with, beside ``trial_id`` and ``epochs``."""


class TruthfulOptunaSearch(OptunaSearch):
    """Searcher whose study can be read, while it runs and after, without knowing Ray.

    Parameters
    ----------
    storage : Journal
        Where the study is. What is told of a trial at a time is written at once.
    unfinished : sequence of FrozenTrial
        Trials of the study that were begun before: they are gone on with before any other is suggested.
    target : float or None
        Score at which a trial is trained no further. It is COMPLETE then: as PRUNED the best of all would
        count among the worst, should the search be extended.
    **options
        As Ray's.

    Attributes
    ----------
    failure : OSError or None
        Why the journal could not be written, once that has happened: the search has to end.
    """

    def __init__(
        self,
        *,
        storage: Journal,
        unfinished: Sequence[FrozenTrial] = (),
        target: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(storage=storage, **options)
        self._target = math.inf if target is None else target
        self._journal = storage
        self._unfinished = list(unfinished)
        self._curves: dict[str, list[dict[str, float]]] = {}
        self._latest: dict[str, dict[str, Any]] = {}
        self._known: dict[str, frozenset[int]] = {}
        self._suspended = False
        self.failure: OSError | None = None

    @property
    def study(self) -> optuna.Study:
        """The study behind the searcher."""
        return self._ot_study

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Ask for the next configuration; its number in the study and its name go with it."""
        asked = self._tell(lambda: self._suggest(trial_id))
        # Without an answer Tune would ask again for ten minutes before it looked whether to end.
        return asked if self.failure is None else Searcher.FINISHED

    def _suggest(self, trial_id: str) -> dict[str, Any] | None:
        name = trial_id
        if self._unfinished:
            begun = self._unfinished.pop(0)
            name = begun.user_attrs.get(TRIAL_ID, trial_id)
            # As after an ask: what the trial had been suggested is suggested again.
            self._ot_trials[trial_id] = optuna.trial.Trial(self._ot_study, begun._trial_id)
            self._known[trial_id] = frozenset(begun.intermediate_values)
        config = super().suggest(trial_id)
        if config is None:
            return None
        trial = self._ot_trials[trial_id]
        trial.set_user_attr(TRIAL_ID, name)
        fixed = {key: value for key, value in config.items() if key not in trial.params}
        if fixed:
            trial.set_user_attr(FIXED, fixed)
        return {**config, TRIAL_NUMBER: trial.number, TRIAL_ID: name}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the epochs since the last result."""
        if trial_id not in self._completed_trials:
            self._tell(lambda: self._report(trial_id, result))
            self._latest[trial_id] = result

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell how the trial ended: COMPLETE, PRUNED or FAIL."""
        if trial_id in self._completed_trials:
            return
        self._completed_trials.add(trial_id)
        self._latest.pop(trial_id, None)
        self._tell(lambda: self._end(trial_id, result, error=error))

    def _tell(self, action: Callable[[], _Result]) -> _Result | None:
        """Write all that an action tells at once; once that has failed, nothing more is told.

        Tune would take an error here for the trial's own, and train it again.
        """
        if self.failure is not None:
            return None
        try:
            with self._journal.together():
                return action()
        except OSError as error:
            self.failure = error
        except RuntimeError as error:
            # As Optuna's lock fails where it cannot be released.
            if not isinstance(error.__context__, OSError):
                raise
            self.failure = error.__context__
        return None

    def _end(self, trial_id: str, result: dict[str, Any] | None, *, error: bool) -> None:
        trial = self._ot_trials[trial_id]
        outcome = (result or {}).get("outcome")
        if outcome in SUSPENDED or self._suspended:
            # Nothing is wrong with the trials: they wait, unfinished, until the search is resumed.
            self._suspended = True
            return
        if result and outcome:
            # Tune does not pass on the result that made the scheduler stop the trial.
            self._report(trial_id, result)
            summary = {**result, "node": result.get("hostname", socket.gethostname())}
            for name in SUMMARY:
                trial.set_user_attr(name, summary[name])
        elif error:
            trial.set_user_attr(
                "error", "the trial's worker process died or could not write, more often than it is restarted"
            )
        else:
            trial.set_user_attr("error", "the search ended before the trial had reported an epoch")
        curve = self._curves.pop(trial_id, [])
        trial.set_user_attr("epochs", len(curve))
        trial.set_user_attr(CURVE, curve)
        if error or outcome in FAILED or not curve:
            self._ot_study.tell(trial, state=TrialState.FAIL)
        elif result and (outcome == COMPLETE or accuracy(result) >= self._target):
            self._ot_study.tell(trial, result[self.metric])
        else:
            self._ot_study.tell(trial, state=TrialState.PRUNED)

    def tell_study(self, name: str, value: Any) -> None:
        """Write an attribute of the study."""
        self._tell(lambda: self._ot_study.set_user_attr(name, value))

    def settle(self) -> None:
        """Tell the trials that the end of the search cut short: they are PRUNED, with what they reported.

        Those that had not reported an epoch stay as they are, and an extended search begins with them.
        """
        for trial_id, result in list(self._latest.items()):
            self.on_trial_complete(trial_id, result)

    def _report(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report each epoch once, also where a trial that was restarted reports some again."""
        known = self._curves.setdefault(trial_id, [])
        for row in result["curve"]:
            if row["epoch"] == len(known) + 1:
                known.append(row)
                if row["epoch"] in self._known.get(trial_id, ()):
                    continue
                self._ot_trials[trial_id].report(row["val_accuracy"], row["epoch"])
