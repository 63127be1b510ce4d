"""Ray's ASHA, which lets the BASELINE run to its end and keeps its rungs over a resume."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.trial import FAILED, TRIAL_NUMBER


class BaselineKeepingASHA(AsyncHyperBandScheduler):
    """ASHA that never stops trial 0, against which the others' lift is measured."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide as ASHA does; the BASELINE goes on, though its score counts at each rung."""
        action: str = super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE if trial.config.get(TRIAL_NUMBER) == 0 else action

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last score at its rung, unless the trial failed and has none."""
        if result.get("outcome") in FAILED:
            self._trial_info.pop(trial.trial_id, None)
            return
        super().on_trial_complete(tune_controller, trial, result)


class RungKeeper(Callback):
    """Carries ASHA's rungs in Tune's snapshots, because Tune itself forgets them (ray-project/ray#30838).

    Parameters
    ----------
    scheduler : TrialScheduler
        The scheduler whose rungs are kept; nothing is done for one without rungs.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler

    def get_state(self) -> dict[str, Any]:
        """Scores recorded at each rung of each bracket."""
        return {"rungs": [bracket._rungs for bracket in self._brackets()]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Give the scores back to the scheduler."""
        for bracket, recorded in zip(self._brackets(), state["rungs"], strict=True):
            bracket._rungs = recorded

    def _brackets(self) -> list[Any]:
        return list(getattr(self._scheduler, "_brackets", ()))
