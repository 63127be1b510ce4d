"""The keys of a trial's configuration and reports, and how good a report is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from data.dataset.scores import COLUMNS, PROBABILITY_FLOOR, Metric, merit
from search.outcomes import FAILED

TRIAL_NUMBER = "trial_number"
"""Key in the configuration for the number of the trial in the order of suggestion."""
TRIAL_ID = "trial_id"
"""Key in the configuration for the trial's name in the run; Tune renames trials when a search resumes."""
EPOCHS = "epochs"
"""Key in the configuration for the trial's horizon, which every family suggests."""
SCORE = "score"
"""Key in reports and in rows of their curve: what scheduler and sampler maximise."""


def epoch_merit(row: Mapping[str, float], metric: Metric) -> float:
    """Return the score of an epoch by a metric, greater for better ones; the worst if it has none."""
    if not row:
        return math.log(PROBABILITY_FLOOR) if metric == "log_loss" else 0.0
    return merit(row[COLUMNS[metric]], metric)


def reported_merit(result: Mapping[str, Any], metric: Metric) -> float:
    """Return the score of a report, or of an ended trial in the study, as a number that is greater if better.

    It is minus infinity for a failed trial, whatever it reached before, and before the first epoch.
    """
    score = result.get(COLUMNS[metric])
    if result.get("outcome") in FAILED or not result.get("best_epoch") or score is None:
        return -math.inf
    return merit(float(score), metric)
