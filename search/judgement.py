"""The score of a run's best trial and its uncertainty, from the stored out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from data.dataset.intervals import accuracy_interval, mean_interval, metric_interval
from data.dataset.paired_tests import Paired, paired_by_metric
from data.dataset.scores import COLUMNS, Metric, merit, score, track_losses
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError
from search.storage.choice import CorrectedChoice, correct_choice
from search.storage.columns import config_of
from search.storage.predictions import (
    Candidate,
    PredictionReader,
    Predictions,
    candidates_of,
    scores_on_common,
)
from search.storage.ranking import scored
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    import pandas as pd


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
    epoch : int
        The epoch of the score.
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
    epoch: int
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
    def predictions(self) -> Predictions:
        """The predictions alone."""
        return Predictions(self.track_id.tolist(), self.truth, self.probabilities)

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


def family_winner(run: RunFolder) -> JudgedTrial | None:
    """Read the best trial of a run as it is compared with those of other families.

    The trial of a hold-out has the predictions and the score of all folds if it was trained on them.
    """
    trial = best_trial(run)
    if trial is None:
        return None
    whole = PredictionReader().read_all_folds(run, trial.trial_id, run.info().classes, trial.epoch)
    if whole is None:
        return trial
    group_of = _groups(run)
    return replace(
        trial,
        score=score(whole.probabilities, whole.truth).value(trial.metric),
        track_id=np.array(whole.track_id),
        group=np.array([group_of[track] for track in whole.track_id]),
        truth=whole.truth,
        probabilities=whole.probabilities,
    )


def in_order(trials: Sequence[JudgedTrial]) -> list[JudgedTrial]:
    """Order trials, best first: by their scores, or on the tracks that all validated if these differ."""
    if not trials:
        return []
    scores, n_common = scores_on_common([trial.predictions for trial in trials], trials[0].metric)
    if not n_common or all(len(trial.track_id) == n_common for trial in trials):
        scores = [trial.score for trial in trials]
    merits = np.array([merit(value, trials[0].metric) for value in scores])
    return [trials[number] for number in np.argsort(-merits, kind="stable")]


def _judged(run: RunFolder, info: RunInfo, rows: pd.DataFrame) -> Iterator[JudgedTrial | None]:
    """Read the predictions of trials by their rows; yield None if they are missing or of another epoch."""
    group_of, reader = _groups(run), PredictionReader()
    for number, row in rows.iterrows():
        epoch, trial_id = int(row["best_epoch"]), str(row["trial_id"])
        try:
            predictions = reader.read(run, trial_id, info.classes, epoch)
        except HarnessError:
            yield None
            continue
        yield JudgedTrial(
            run=run.name,
            number=int(number),  # type: ignore[call-overload]
            trial_id=trial_id,
            metric=info.metric,
            score=float(row[COLUMNS[info.metric]]),
            epoch=epoch,
            config=config_of({str(key): value for key, value in row.items()}, info.space),
            track_id=np.array(predictions.track_id),
            group=np.array([group_of[track] for track in predictions.track_id]),
            truth=predictions.truth,
            probabilities=predictions.probabilities,
        )


def _groups(run: RunFolder) -> dict[str, str]:
    split = run.split()
    groups = split.track_id if split.group is None else split.group
    return {str(track): str(group) for track, group in zip(split.track_id, groups, strict=True)}


def corrected_best(run: RunFolder, others: Sequence[RunFolder] = ()) -> CorrectedChoice | None:
    """Correct the score of the best trial of a run for the choice among its trials.

    The choice of the epoch is corrected too where all trials stored the predictions of all epochs.

    Parameters
    ----------
    run : RunFolder
        The run.
    others : sequence of RunFolder
        Runs of other families whose trials the best trial was chosen from too.

    Returns
    -------
    CorrectedChoice or None
        None if there are fewer than two trials with predictions, or one group of tracks.
    """
    info = run.info()
    candidates: list[tuple[float, Candidate]] = []
    for each in (run, *others):
        trials = each.trials()
        values = scored(trials, info.metric)[COLUMNS[info.metric]]
        merits = [merit(float(value), info.metric) for value in values]
        candidates += zip(merits, candidates_of(each, each.info(), trials), strict=True)
    if not candidates:
        return None
    # The best of the first run leads, also where it is the best on the common tracks only.
    rest = sorted(candidates[1:], key=lambda scored_candidate: -scored_candidate[0])
    ordered = [candidate for _, candidate in (candidates[0], *rest)]
    return correct_choice(ordered, _groups(run), metric=info.metric)
