"""Ray's ASHA, which never stops the BASELINE and can rebuild its rungs from the study."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.outcomes import FAILED, SUSPENDED
from search.storage.rungs import Rungs
from search.storage.study import Curve
from search.tune.reports import EPOCHS, TRIAL_NUMBER

_RUNG = "rung"
"""Key that Ray's scheduler reads as the time of a report: the last rung that the trial has reached."""


class BaselineKeepingASHA(AsyncHyperBandScheduler):
    """ASHA that never stops trial 0, the BASELINE, against which all other trials are measured.

    Trials are compared at their rungs, which may be at different epochs. They are identified by their number
    in the study, and the bracket of a trial depends only on its number and the seed. A resumed search can
    therefore rebuild the rungs from the study; Tune itself loses them (ray-project/ray#30838).

    Parameters
    ----------
    rungs : Rungs
        Where trials are judged; at least one.
    reduction_factor : int
        One trial in this many continues at each rung.
    brackets : int
        Number of brackets.
    seed : int
        Seed for the choice of brackets.
    """

    def __init__(self, *, rungs: Rungs, reduction_factor: int, brackets: int = 1, seed: int = 0) -> None:
        super().__init__(
            time_attr=_RUNG,
            # Ray computes the number of rungs by logarithms, which may round an exact power down.
            max_t=rungs.values[-1] * (1 + 1e-6),
            grace_period=rungs.values[0],
            reduction_factor=reduction_factor,
            brackets=brackets,
            # A trial at the last rung continues to its end.
            stop_last_trials=False,
        )
        self._where = rungs
        self._seed = seed

    def replay(self, curves: Iterable[Curve]) -> None:
        """Record at the rungs what trials of an earlier session reported.

        A trial that had just reached a rung when the session ended is left out there: it is judged when it
        reports again, because the decision may have been lost.
        """
        for curve in curves:
            last = max(curve.scores, default=0)
            for epoch, value in self._where.of(curve.horizon).items():
                if last < epoch or (last == epoch and not curve.is_finished):
                    continue
                for milestone, recorded in self._bracket(curve.number)._rungs:
                    if np.isclose(milestone, value):
                        reached = [score for scored, score in curve.scores.items() if scored <= epoch]
                        recorded[_key(curve.number)] = max(reached)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Assign a bracket to the trial."""
        number = trial.config[TRIAL_NUMBER]
        self._trial_info[_key(number)] = self._bracket(number)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide as ASHA does, but always continue the BASELINE; its score still counts at each rung."""
        action: str = super().on_trial_result(tune_controller, _numbered(trial), self._at_rung(trial, result))
        return TrialScheduler.CONTINUE if trial.config[TRIAL_NUMBER] == 0 else action

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last score at its rung; a trial that failed has none."""
        if result.get("outcome") in (*FAILED, *SUSPENDED):
            self._trial_info.pop(_key(trial.config[TRIAL_NUMBER]), None)
            return
        super().on_trial_complete(tune_controller, _numbered(trial), self._at_rung(trial, result))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Remove a trial that never ran."""
        super().on_trial_remove(tune_controller, _numbered(trial))

    def _at_rung(self, trial: Trial, result: dict[str, Any]) -> dict[str, Any]:
        """Add the rung that a report reached; a report without an epoch stays as it is."""
        if "epoch" not in result:
            return result
        reached = self._where.reached(result["epoch"], trial.config[EPOCHS])
        # Slightly above Ray's own product of the same numbers.
        return {**result, _RUNG: reached * (1 + 1e-9)}

    def _bracket(self, number: int) -> Any:
        """Draw a bracket with Ray's probabilities, seeded by the number of the trial."""
        sizes = np.array([len(bracket._rungs) for bracket in self._brackets])
        weights = np.exp(sizes - sizes.max())
        draw = np.random.default_rng((self._seed, number))
        return self._brackets[draw.choice(len(sizes), p=weights / weights.sum())]


def _key(number: int) -> str:
    return str(number)


def _numbered(trial: Trial) -> Any:
    """Return a stand-in for a trial that Ray's bookkeeping identifies by its number in the study."""
    return SimpleNamespace(trial_id=_key(trial.config[TRIAL_NUMBER]))
