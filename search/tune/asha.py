"""Ray's ASHA, which never stops the BASELINE and can rebuild its rungs from the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.outcomes import FAILED, SUSPENDED
from search.tune.trial import TRIAL_NUMBER


class BaselineKeepingASHA(AsyncHyperBandScheduler):
    """ASHA that never stops trial 0, the BASELINE, against which all other trials are measured.

    Trials are identified by their number in the study, and the bracket of a trial depends only on its number
    and the seed. A resumed search can therefore rebuild the rungs from the study; Tune itself loses them
    (ray-project/ray#30838).

    Parameters
    ----------
    seed : int
        Seed for the choice of brackets.
    **options
        Options of Ray's scheduler.
    """

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self._seed = seed

    def replay(self, curves: Iterable[tuple[int, Mapping[int, float]]]) -> None:
        """Record at the rungs what trials of an earlier session reported.

        Parameters
        ----------
        curves : iterable of (int, mapping of int to float)
            The number of a trial and its score at each epoch, counted from 1.
        """
        for number, scores in curves:
            for milestone, recorded in self._bracket(number)._rungs:
                reached = [score for epoch, score in scores.items() if epoch <= milestone]
                if reached and max(scores) >= milestone:
                    recorded[_key(number)] = max(reached)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Assign a bracket to the trial."""
        number = trial.config[TRIAL_NUMBER]
        self._trial_info[_key(number)] = self._bracket(number)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide as ASHA does, but always continue the BASELINE; its score still counts at each rung."""
        action: str = super().on_trial_result(tune_controller, _numbered(trial), result)
        return TrialScheduler.CONTINUE if trial.config[TRIAL_NUMBER] == 0 else action

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last score at its rung; a trial that failed has none."""
        if result.get("outcome") in (*FAILED, *SUSPENDED):
            self._trial_info.pop(_key(trial.config[TRIAL_NUMBER]), None)
            return
        super().on_trial_complete(tune_controller, _numbered(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Remove a trial that never ran."""
        super().on_trial_remove(tune_controller, _numbered(trial))

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
