"""Out-of-fold predictions of a trial on the validated tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.metrics import judge
from data.dataset.track_groups import TrackGroups
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial


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
        frame = trial.run.predictions(trial.trial_id, trial.best_epoch)
        classes = trial.info.classes
        number = {genre: index for index, genre in enumerate(classes)}
        truth = np.array([number[label] for label in frame["label"]], dtype=np.int64)
        probabilities = frame[[f"p.{genre}" for genre in classes]].to_numpy(np.float64)
        tracks = frame["track_id"].tolist()
        groups = track_groups(tracks, groups_by_track(trial.run))
        return cls(tracks, truth, probabilities, judge(probabilities, truth, classes, groups), groups)
