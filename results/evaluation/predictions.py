"""Out-of-fold predictions of a trial on the validated tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.metrics import judge
from data.dataset.track_groups import TrackGroups
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial
from search.storage.predictions import PredictionReader


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions of a trial on the validated tracks, at the epoch of its score.

    Attributes
    ----------
    track_id : list of str
        Names of the tracks.
    truth : ndarray of int64, shape (n,)
        Genre number per track.
    probabilities : ndarray of float64, shape (n, n_classes)
        Out-of-fold probabilities.
    numbers : dict
        Metrics as returned by `data.dataset.metrics.judge`.
    groups : TrackGroups or None
        Groups of the tracks; None if tracks are treated as independent.
    """

    track_id: list[str]
    truth: np.ndarray
    probabilities: np.ndarray
    numbers: dict[str, Any]
    groups: TrackGroups | None = None

    @classmethod
    def of(cls, trial: Trial) -> OutOfFoldPredictions:
        """Read the out-of-fold predictions of a trial.

        Raises
        ------
        RunError
            If they were not stored.
        """
        classes = trial.info.classes
        read = PredictionReader().read(trial.run, trial.trial_id, classes, trial.best_epoch)
        groups = track_groups(read.track_id, groups_by_track(trial.run))
        numbers = judge(read.probabilities, read.truth, classes, groups)
        return cls(read.track_id, read.truth, read.probabilities, numbers, groups)
