"""Estimate the score of the best configuration on new tracks: bias-corrected cross-validation.

The best of N trials was selected by its score on the validated tracks, so this score is optimistic. The
bootstrap bias-corrected cross-validation of Tsamardinos, Greasidou and Borboudakis (Machine Learning 107,
2018, algorithm 5) repeats the selection on tracks drawn with replacement and scores each selected
configuration on the tracks that were not drawn. No model is trained again: the out-of-fold predictions of all
configurations are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.dataset.scores import Metric, class_counts, class_scores, merit
from data.dataset.track_groups import TrackGroups

RESAMPLES = 1_000
_MAX_DRAWS = 20_000_000
"""Maximum size of the matrix of draws; larger data needs fewer resamples."""
_CHUNK = 512
_MAX_ERRORS = 4.0
"""Standard errors by which a configuration must be worse than the best one to be left out."""

MAX_TRIALS = 200
"""The choice is repeated among this many of the best trials; worse ones would never win."""


@dataclass(frozen=True)
class Corrected:
    """A score, corrected for the selection.

    Attributes
    ----------
    metric : str
        The metric.
    raw : float
        Score of the best configuration on all tracks, which it was selected by.
    corrected : float
        Estimate of its score on new tracks.
    n_trials : int
        Number of trials to select from.
    n_configurations : int
        Number of epochs of all trials if the selection of the epoch is corrected too, otherwise of trials.
    epochs : bool
        Whether the selection of the epoch is corrected too.
    """

    metric: Metric
    raw: float
    corrected: float
    n_trials: int
    n_configurations: int
    epochs: bool

    @property
    def optimism(self) -> float:
        """Difference of the raw and the corrected score; positive if the raw score is too good."""
        return merit(self.raw, self.metric) - merit(self.corrected, self.metric)


def correct_for_choice(
    trials: Sequence[np.ndarray],
    truth: np.ndarray,
    groups: TrackGroups,
    *,
    n_classes: int,
    metric: Metric = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Corrected:
    """Estimate the score of the best trial on new tracks.

    Groups are drawn instead of tracks, so that no group is on both sides of a resample.

    Parameters
    ----------
    trials : sequence of ndarray, each of shape (n_configurations, n_tracks)
        Predicted genre numbers (any integer dtype; uint8 is smallest) of each trial's epochs, or of its best
        epoch only. For ``log_loss``: the loss of each track in nats, as floats.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.
    groups : TrackGroups
        Groups of the tracks.
    n_classes : int
        Number of genres.
    metric : str
        The metric of the selection.
    resamples : int
        Number of resamples; fewer if the matrix of draws would not fit in memory.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    ValueError
        If there are no trials, or fewer than two groups.
    """
    if not trials or groups.n_groups < 2:
        raise ValueError("a correction needs at least one trial and two groups of tracks")
    configurations = np.concatenate(trials)
    n_configurations = len(configurations)
    configurations = _possible_winners(configurations, truth, groups, metric)
    resamples = max(100, min(resamples, _MAX_DRAWS // groups.n_tracks))
    draws = groups.resampled(resamples, np.random.default_rng(seed))[:, groups.number].astype(np.float32)
    selected, best = np.zeros(resamples, dtype=np.int64), np.full(resamples, -np.inf)
    all_tracks = np.ones((1, groups.n_tracks), dtype=np.float32)
    best_of_all, best_merit = 0, -np.inf
    for start in range(0, len(configurations), _CHUNK):
        chunk = configurations[start : start + _CHUNK]
        merits = _merits(chunk, truth, draws, n_classes, metric)
        first = merits.argmax(axis=1)
        top = merits[np.arange(resamples), first]
        better = top > best
        selected[better], best[better] = start + first[better], top[better]
        on_all = _merits(chunk, truth, all_tracks, n_classes, metric)[0]
        if on_all.max() > best_merit:
            best_of_all, best_merit = start + int(on_all.argmax()), float(on_all.max())
    scores = _scores_of(configurations[selected], truth, draws == 0, n_classes, metric)
    return Corrected(
        metric=metric,
        raw=float(_scores_of(configurations[[best_of_all]], truth, all_tracks > 0, n_classes, metric)[0]),
        corrected=float(np.mean(scores)),
        n_trials=len(trials),
        n_configurations=n_configurations,
        epochs=n_configurations > len(trials),
    )


def _possible_winners(
    configurations: np.ndarray, truth: np.ndarray, groups: TrackGroups, metric: Metric
) -> np.ndarray:
    """Leave out configurations that would be the best of no resample.

    A configuration is left out if the best one of all tracks is better by more than `_MAX_ERRORS` standard
    errors of their difference. Most epochs of most trials are: their predictions need not be resampled.

    Parameters
    ----------
    configurations : ndarray, shape (n_configurations, n_tracks)
        Predicted genres, or losses.
    """
    if metric not in ("accuracy", "log_loss"):
        # Not a mean over tracks, so the error of a difference is not a sum over groups.
        return configurations
    merits = _merits(configurations, truth, np.ones((1, len(truth)), dtype=np.float32), 0, metric)[0]
    values = _values(configurations[[int(merits.argmax())]], truth, metric)
    possible = np.empty(len(configurations), dtype=bool)
    for start in range(0, len(configurations), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        behind = groups.sums((values - _values(configurations[chunk], truth, metric)).T)
        possible[chunk] = behind.sum(axis=0) <= _MAX_ERRORS * np.sqrt((behind**2).sum(axis=0))
    return np.asarray(configurations[possible])


def _values(configurations: np.ndarray, truth: np.ndarray, metric: Metric) -> np.ndarray:
    """Return what the merit of each configuration is the mean of, shape (n_configurations, n_tracks)."""
    if metric == "log_loss":
        return -configurations
    return (configurations == truth).astype(np.float32)


def _scores_of(
    predicted: np.ndarray, truth: np.ndarray, used: np.ndarray, n_classes: int, metric: Metric
) -> np.ndarray:
    """Score each row of predictions, or of losses, on its own tracks; rows without tracks are left out.

    Parameters
    ----------
    predicted : ndarray, shape (n_rows, n_tracks)
        Predicted genres, or losses.
    used : ndarray of bool, shape (n_rows, n_tracks)
        Tracks of each row.
    """
    count = used.sum(axis=1)
    predicted, used, count = predicted[count > 0], used[count > 0], count[count > 0]
    if metric == "log_loss":
        return np.asarray((predicted * used).sum(axis=1) / count)
    if metric == "accuracy":
        return np.asarray(((predicted == truth) & used).sum(axis=1) / count)
    scores = [
        class_scores(*class_counts(truth[tracks], row[tracks], n_classes))[metric]
        for row, tracks in zip(predicted, used, strict=True)
    ]
    return np.array(scores)


def _merits(
    configurations: np.ndarray, truth: np.ndarray, weights: np.ndarray, n_classes: int, metric: Metric
) -> np.ndarray:
    """Merit of each configuration under each weighting of the tracks.

    Parameters
    ----------
    configurations : ndarray, shape (n_configurations, n_tracks)
        Predicted genres, or losses.
    weights : ndarray of float32, shape (n_weightings, n_tracks)
        Weight of each track.

    Returns
    -------
    ndarray, shape (n_weightings, n_configurations)
    """
    total = weights.sum(axis=1, keepdims=True)
    if metric == "log_loss":
        return np.asarray(-(weights @ configurations.T.astype(np.float32)) / total)
    right = (configurations == truth).T.astype(np.float32)
    if metric == "accuracy":
        return np.asarray((weights @ right) / total)
    true = weights @ np.eye(n_classes, dtype=np.float32)[truth]
    if metric == "balanced_accuracy":
        recalls = weights / np.maximum(true, 1)[:, truth]
        return np.asarray((recalls @ right) / (true > 0).sum(axis=1, keepdims=True))
    f1 = np.zeros((len(weights), len(configurations)), dtype=np.float32)
    for genre in range(n_classes):
        of_genre = truth == genre
        hits = weights[:, of_genre] @ right[of_genre]
        predicted = weights @ (configurations == genre).T.astype(np.float32)
        f1 += 2 * hits / np.maximum(true[:, genre, None] + predicted, 1)
    return f1 / (true > 0).sum(axis=1, keepdims=True)
