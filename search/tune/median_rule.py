"""The median stopping rule, which never stops the BASELINE and can be rebuilt from the study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.outcomes import FAILED
from search.storage.rungs import Rungs
from search.storage.study import Curve
from search.tune.reports import EPOCHS, SCORE, TRIAL_NUMBER

_MIN_TRIALS = 3
"""Number of other trials that a median needs."""


class MedianRule(FIFOScheduler):
    """Stops a trial whose best score is below the median of the others' running means (Golovin et al., 2017).

    Ray's own rule sees only reports, which are sent at few epochs; this rule sees every epoch.

    Parameters
    ----------
    rungs : Rungs
        Where the rule decides; the running means begin at the first. Trials also report between them, after
        some seconds; a decision there would depend on the speed of the machine.
    """

    def __init__(self, rungs: Rungs) -> None:
        super().__init__()
        self._rungs = rungs
        self._curves: dict[int, dict[int, float]] = {}
        self._horizons: dict[int, int] = {}

    def replay(self, curves: Iterable[Curve]) -> None:
        """Record the scores of trials of an earlier session."""
        for curve in curves:
            self._curves[curve.number] = dict(curve.scores)
            self._horizons[curve.number] = curve.horizon

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide if the reported epoch is that of a rung."""
        number, now = trial.config[TRIAL_NUMBER], result["epoch"]
        own = self._add(trial, result)
        rung = self._rungs.of(self._horizons[number]).get(now)
        if number == 0 or rung is None or not own:
            return TrialScheduler.CONTINUE
        means = []
        for other, scores in self._curves.items():
            horizon = self._horizons[other]
            first, last = self._rungs.epoch(self._rungs.values[0], horizon), self._rungs.epoch(rung, horizon)
            if other != number and max(scores, default=0) >= last:
                means.append(np.mean([score for epoch, score in scores.items() if first <= epoch <= last]))
        if len(means) < _MIN_TRIALS or max(own.values()) >= np.median(means):
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last epochs of the trial; a failed trial has no score."""
        if result.get("outcome") in FAILED:
            self._curves.pop(trial.config[TRIAL_NUMBER], None)
        else:
            self._add(trial, result)

    def _add(self, trial: Trial, result: dict[str, Any]) -> dict[int, float]:
        number = trial.config[TRIAL_NUMBER]
        self._horizons[number] = trial.config[EPOCHS]
        own = self._curves.setdefault(number, {})
        own |= {row["epoch"]: row[SCORE] for row in result.get("curve", ())}
        return own
