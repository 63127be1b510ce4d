"""What a report reads of one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from results.journal import ended_at
from results.scoring import judge
from results.trials import Trial, config_of, find_trial, has_score
from spaces.training.run_folder import RunFolder, RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Material:
    """What a report says of one run is taken from this.

    Attributes
    ----------
    run : RunFolder
        The run.
    info : RunInfo
        Its record.
    best : Trial
        Its best trial.
    trials : DataFrame
        ``trials.parquet``, in the order of suggestion.
    history : DataFrame
        ``history.parquet``.
    ended : dict of str to datetime
        When each trial ended, as far as that is known.
    """

    run: RunFolder
    info: RunInfo
    best: Trial
    trials: pd.DataFrame
    history: pd.DataFrame
    ended: dict[str, datetime]

    @classmethod
    def read(cls, run: RunFolder) -> Material:
        """Read a run.

        Raises
        ------
        RunError
            If there is no such run, or no trial of it has a score.
        """
        best = find_trial(run)
        return cls(run, best.info, best, run.trials(), run.history(), ended_at(run))

    @property
    def scored(self) -> pd.DataFrame:
        """Trials with a score, in the order of suggestion."""
        return self.trials[has_score(self.trials)]

    def configurations(self) -> list[dict[str, Any]]:
        """Return the configuration of each trial of `scored`."""
        return [
            config_of({str(key): value for key, value in row.items()}, self.info.space)
            for row in self.scored.to_dict("records")
        ]


@dataclass(frozen=True)
class Judgement:
    """What the best trial says of the validated tracks.

    Attributes
    ----------
    track_id : list of str
        Tracks.
    truth : ndarray of int64, shape (n,)
        Number of each track's genre.
    probabilities : ndarray of float64, shape (n, n_classes)
        Out-of-fold probabilities.
    numbers : dict
        As `results.scoring.judge` gives them.
    """

    track_id: list[str]
    truth: np.ndarray
    probabilities: np.ndarray
    numbers: dict[str, Any]

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
        return cls(frame["track_id"].tolist(), truth, probabilities, judge(probabilities, truth, classes))
