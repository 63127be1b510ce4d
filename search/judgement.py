"""The score of a run's best trial and its uncertainty, from the stored out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.dataset.choice_correction import MAX_TRIALS, Corrected, correct_for_choice
from data.dataset.epoch_predictions import SUFFIX, read_epochs
from data.dataset.intervals import accuracy_interval, mean_interval, metric_interval
from data.dataset.paired_tests import Paired, paired_by_metric
from data.dataset.scores import COLUMNS, Metric, merit, track_losses
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError
from search.storage.ranking import scored
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    import pandas as pd

_CONFIG = "config."


@dataclass(frozen=True)
class JudgedTrial:
    """A trial and its out-of-fold predictions.

    Attributes
    ----------
    run : str
        Name of the run.
    number : int
        Number in the order of suggestion; 0 is the BASELINE.
    trial_id : str
        Name of the trial's files.
    metric : str
        The metric by which the run selects trials and epochs.
    score : float
        The trial's score by that metric.
    config : dict
        The configuration.
    track_id : ndarray of str, shape (n,)
        Validated tracks, sorted.
    group : ndarray of str, shape (n,)
        Their groups.
    truth : ndarray of int64, shape (n,)
        Genre numbers.
    probabilities : ndarray of float64, shape (n, n_classes)
        Out-of-fold probabilities at the epoch of the score.
    """

    run: str
    number: int
    trial_id: str
    metric: Metric
    score: float
    config: dict[str, Any]
    track_id: np.ndarray
    group: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def name(self) -> str:
        """The trial as typed in commands."""
        return f"{self.run}:{self.number}"

    @property
    def merit(self) -> float:
        """The score as a number that is greater for better trials."""
        return merit(self.score, self.metric)

    @property
    def right(self) -> np.ndarray:
        """Whether each track is classified correctly, bool, shape (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)

    def interval(self) -> tuple[float, float]:
        """Compute the interval of the score, by groups of tracks."""
        groups = TrackGroups.of(self.group)
        if self.metric == "accuracy":
            low, high = accuracy_interval(self.right, groups)
            return float(low), float(high)
        if self.metric == "log_loss":
            return mean_interval(track_losses(self.probabilities, self.truth), groups)
        predicted = self.probabilities.argmax(axis=1)
        return metric_interval(self.truth, predicted, self.probabilities.shape[1], self.metric, groups)

    def against(self, other: JudgedTrial) -> Paired | None:
        """Compare the scores of two trials on the tracks that both validated; None if there are none.

        The scores are by the metric of this trial's run.
        """
        _, own, others = np.intersect1d(self.track_id, other.track_id, return_indices=True)
        if not len(own):
            return None
        return paired_by_metric(
            self.probabilities[own],
            other.probabilities[others],
            self.truth[own],
            self.metric,
            TrackGroups.of(self.group[own]),
        )


def best_trial(run: RunFolder) -> JudgedTrial | None:
    """Read the best trial of a run; None if no trial has a score."""
    info, trials = run.info(), run.trials()
    return next(_judged(run, info, scored(trials, info.metric).head(1)), None)


def baseline_trial(run: RunFolder) -> JudgedTrial | None:
    """Read the BASELINE of a run; None if it has no score."""
    info, trials = run.info(), run.trials()
    order = scored(trials, info.metric)
    return next(_judged(run, info, order[order.index == 0]), None)


def _judged(run: RunFolder, info: RunInfo, rows: pd.DataFrame) -> Iterator[JudgedTrial | None]:
    """Read the predictions of trials by their rows; yield None if they are missing or of another epoch."""
    split = run.split()
    groups = split.track_id if split.group is None else split.group
    group_of = {str(track): str(group) for track, group in zip(split.track_id, groups, strict=True)}
    for _, row in rows.iterrows():
        try:
            yield _read(run, info, row, group_of)
        except HarnessError:
            yield None


def _read(run: RunFolder, info: RunInfo, row: pd.Series[Any], group_of: Mapping[str, str]) -> JudgedTrial:
    metric = info.metric
    frame = run.predictions(str(row["trial_id"]), int(row["best_epoch"]))
    number = {genre: index for index, genre in enumerate(info.classes)}
    track_id = frame["track_id"].to_numpy(str)
    config = {name.removeprefix(_CONFIG): row[name] for name in row.index if name.startswith(_CONFIG)}
    return JudgedTrial(
        run=run.name,
        number=int(row.name),  # type: ignore[call-overload]
        trial_id=str(row["trial_id"]),
        metric=metric,
        score=float(row[COLUMNS[metric]]),
        config={name: value for name, value in config.items() if value is not None and value == value},
        track_id=track_id,
        group=np.array([group_of[track] for track in track_id.tolist()]),
        truth=np.array([number[label] for label in frame["label"]], dtype=np.int64),
        probabilities=frame[[f"p.{genre}" for genre in info.classes]].to_numpy(np.float64),
    )


def corrected_best(run: RunFolder) -> Corrected | None:
    """Correct the score of the best trial of a run for the choice among its trials.

    The choice of the epoch is corrected too where all trials stored the predictions of all epochs.

    Returns
    -------
    Corrected or None
        None if the run has fewer than two trials with predictions, or one group of tracks.
    """
    info, trials = run.info(), run.trials()
    order = scored(trials, info.metric).head(MAX_TRIALS)
    candidates = list(_judged(run, info, order))
    available = [candidate for candidate in candidates if candidate is not None]
    if len(available) < 2 or candidates[0] is None:
        return None
    first = available[0]
    groups = TrackGroups.of(first.group)
    if groups.n_groups < 2:
        return None
    return correct_for_choice(
        _choices(run, available),
        first.truth,
        groups,
        n_classes=first.probabilities.shape[1],
        metric=first.metric,
    )


def _choices(run: RunFolder, trials: Sequence[JudgedTrial]) -> list[np.ndarray]:
    """Predicted genres, or losses, of each trial: of all epochs if every trial stored them."""
    if trials[0].metric == "log_loss":
        return [track_losses(trial.probabilities, trial.truth)[None] for trial in trials]
    best = [trial.probabilities.argmax(axis=1).astype(np.uint8)[None] for trial in trials]
    folder = run.folder / "predictions"
    names = [f"{trial.trial_id}{SUFFIX}" for trial in trials]
    if not set(names) <= set(folder.names()):
        return best
    epochs = [read_epochs(folder.read_table(name)) for name in names]
    if any(each.shape[1] != last.shape[1] for each, last in zip(epochs, best, strict=True)):
        return best
    return [np.concatenate(pair) for pair in zip(epochs, best, strict=True)]
