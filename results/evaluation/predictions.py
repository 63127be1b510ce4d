"""What a trial says of the tracks that it was validated on, out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.metrics import judge
from data.dataset.track_groups import TrackGroups
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial


@dataclass(frozen=True)
class Judgement:
    """What a trial says of the validated tracks, at the epoch of its score.

    Attributes
    ----------
    track_id : list of str
        Tracks.
    truth : ndarray of int64, shape (n,)
        Number of each track's genre.
    probabilities : ndarray of float64, shape (n, n_classes)
        Out-of-fold probabilities.
    numbers : dict
        As `data.dataset.metrics.judge` returns them.
    groups : TrackGroups or None
        Groups of the tracks; None where they are taken as independent.
    """

    track_id: list[str]
    truth: np.ndarray
    probabilities: np.ndarray
    numbers: dict[str, Any]
    groups: TrackGroups | None = None

    @classmethod
    def of(cls, trial: Trial) -> Judgement:
        """Read the out-of-fold judgement of a trial.

        Raises
        ------
        RunError
            If it was not kept.
        """
        frame = trial.run.predictions(trial.trial_id, trial.best_epoch)
        classes = trial.info.classes
        number = {genre: index for index, genre in enumerate(classes)}
        truth = np.array([number[label] for label in frame["label"]], dtype=np.int64)
        probabilities = frame[[f"p.{genre}" for genre in classes]].to_numpy(np.float64)
        tracks = frame["track_id"].tolist()
        groups = track_groups(tracks, groups_by_track(trial.run))
        return cls(tracks, truth, probabilities, judge(probabilities, truth, classes, groups), groups)
