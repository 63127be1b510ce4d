"""The median stopping rule, which never stops the BASELINE and can be rebuilt from the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.tune.trial import TRIAL_NUMBER

_MIN_TRIALS = 3
"""Number of other trials that a median needs."""


class MedianRule(FIFOScheduler):
    """Stops a trial whose best score is below the median of the others' running means (Golovin et al., 2017).

    Ray's own rule sees only reports, which are sent at few epochs; this rule sees every epoch.

    Parameters
    ----------
    grace_period : int
        Epochs before a trial may be stopped; the running means begin there.
    milestones : sequence of int
        Epochs at which the rule decides. Trials also report between them, after some seconds; a decision
        there would depend on the speed of the machine.
    """

    def __init__(self, *, grace_period: int, milestones: Sequence[int]) -> None:
        super().__init__()
        self._grace = grace_period
        self._milestones = frozenset(milestones)
        self._curves: dict[int, dict[int, float]] = {}

    def replay(self, curves: Iterable[tuple[int, Mapping[int, float]]]) -> None:
        """Record earlier trials: the number of each and its score at each epoch, counted from 1."""
        self._curves |= {number: dict(scores) for number, scores in curves}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide at the reported epoch if it is a milestone."""
        number, now = trial.config[TRIAL_NUMBER], result["epoch"]
        own = self._curves.setdefault(number, {})
        own |= {row["epoch"]: row["val_accuracy"] for row in result["curve"]}
        if number == 0 or now not in self._milestones:
            return TrialScheduler.CONTINUE
        means = [
            np.mean([score for epoch, score in scores.items() if self._grace <= epoch <= now])
            for other, scores in self._curves.items()
            if other != number and max(scores, default=0) >= now
        ]
        if len(means) < _MIN_TRIALS or max(own.values(), default=0.0) >= np.median(means):
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last epochs of the trial."""
        own = self._curves.setdefault(trial.config[TRIAL_NUMBER], {})
        own |= {row["epoch"]: row["val_accuracy"] for row in result.get("curve", ())}
