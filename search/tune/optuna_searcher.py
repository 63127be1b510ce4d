"""Ray's OptunaSearch, corrected to report the true state of each trial to Optuna.

Ray reports every ended trial as COMPLETE with its last value. Here a trial that was stopped early is PRUNED,
a failed trial is FAIL, and the study stores the whole curve as intermediate values, one step per epoch.
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

from search.outcomes import COMPLETE, FAILED, SUSPENDED
from search.storage.columns import REPORTED
from search.storage.journal_backend import Journal
from search.storage.study import CURVE, FIXED, writable_trial
from search.tune.reports import SCORE, TRIAL_ID, TRIAL_NUMBER

_Result = TypeVar("_Result")

SUMMARY = (*REPORTED, "node", "outcome")
"""User attributes of an ended trial, besides ``trial_id`` and ``epochs``."""


class TruthfulOptunaSearch(OptunaSearch):
    """Searcher whose study can be read without Ray, during the search and afterwards.

    Parameters
    ----------
    storage : Journal
        Storage of the study. All records about one event are written together.
    unfinished : sequence of FrozenTrial
        Unfinished trials of an earlier session. They are resumed before new trials are suggested.
    target : float or None
        Value of `SCORE` at which training of a trial stops. Such a trial is COMPLETE: if it were PRUNED, an
        extended search would rank the best trial among the worst.
    **options
        Options of Ray's searcher.

    Attributes
    ----------
    failure : OSError or None
        Why the journal could not be written; the search has to stop.
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
        """Suggest the next configuration, with the number and the name of the trial."""
        configuration = self._record(lambda: self._suggest(trial_id))
        # With None, Tune would ask again for ten minutes before it checks whether to stop.
        return configuration if self.failure is None else Searcher.FINISHED

    def _suggest(self, trial_id: str) -> dict[str, Any] | None:
        name = trial_id
        if self._unfinished:
            unfinished = self._unfinished.pop(0)
            name = unfinished.user_attrs.get(TRIAL_ID, trial_id)
            # The same state as after an ask, so that the stored parameters are suggested again.
            self._ot_trials[trial_id] = writable_trial(self._ot_study, unfinished)
            self._known[trial_id] = frozenset(unfinished.intermediate_values)
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
        """Report the epochs since the previous result."""
        if trial_id not in self._completed_trials:
            self._record(lambda: self._report(trial_id, result))
            self._latest[trial_id] = result

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Record the final state of the trial: COMPLETE, PRUNED or FAIL."""
        if trial_id in self._completed_trials:
            return
        self._completed_trials.add(trial_id)
        self._latest.pop(trial_id, None)
        self._record(lambda: self._end(trial_id, result, error=error))

    def _record(self, action: Callable[[], _Result]) -> _Result | None:
        """Write all records of an action together; after a failure, write nothing more.

        Tune would attribute an exception here to the trial and train it again.
        """
        if self.failure is not None:
            return None
        try:
            with self._journal.together():
                return action()
        except OSError as error:
            self.failure = error
        except RuntimeError as error:
            # Optuna raises this if it cannot release its lock.
            if not isinstance(error.__context__, OSError):
                raise
            self.failure = error.__context__
        return None

    def _end(self, trial_id: str, result: dict[str, Any] | None, *, error: bool) -> None:
        trial = self._ot_trials[trial_id]
        outcome = (result or {}).get("outcome")
        if outcome in SUSPENDED or self._suspended:
            # The trials are not at fault: they stay unfinished until the search is resumed.
            self._suspended = True
            return
        if result and outcome:
            # Tune does not forward the result on which the scheduler stopped the trial.
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
        elif result and (outcome == COMPLETE or result[SCORE] >= self._target):
            self._ot_study.tell(trial, result[self.metric])
        else:
            self._ot_study.tell(trial, state=TrialState.PRUNED)

    def set_study_attribute(self, name: str, value: Any) -> None:
        """Write an attribute of the study."""
        self._record(lambda: self._ot_study.set_user_attr(name, value))

    def settle(self) -> None:
        """Record the trials that the end of the search interrupted as PRUNED, with the epochs they reported.

        Trials without a report stay unfinished, and an extended search begins with them.
        """
        for trial_id, result in list(self._latest.items()):
            self.on_trial_complete(trial_id, result)

    def _report(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report each epoch once, even if a restarted trial reports some epochs again."""
        curve = self._curves.setdefault(trial_id, [])
        for row in result["curve"]:
            if row["epoch"] == len(curve) + 1:
                curve.append({name: value for name, value in row.items() if name != SCORE})
                if row["epoch"] in self._known.get(trial_id, ()):
                    continue
                self._ot_trials[trial_id].report(row[SCORE], row["epoch"])
