"""Select the members of an ensemble and their weights: greedy selection with replacement.

Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models" (ICML 2004): start
with an empty ensemble; in each round, add the model that improves the vote most. A model can be added several
times; the number of additions is its weight. The score on the tracks of the selection is optimistic.
Therefore the ensemble is scored by cross-fitting: select on all parts of the tracks except one, score on that
part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.dataset.scores import PROBABILITY_FLOOR, Metric, Scores, class_scores, score
from data.dataset.track_groups import TrackGroups

ROUNDS = 30
"""Maximum number of additions; the best ensemble of all rounds is returned."""
PARTS = 10
"""Number of parts for cross-fitting."""


@dataclass(frozen=True)
class EnsembleChoice:
    """A selected ensemble and its scores.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_models,)
        Weight of each model's probabilities, with a sum of 1; 0 for models that were not selected.
    probabilities : ndarray of float64, shape (n_tracks, n_classes)
        Cross-fitted vote: the ensemble of each track was selected without its part.
    scores : Scores
        Scores of `probabilities`.
    single : ndarray of float64, shape (n_tracks, n_classes)
        Cross-fitted best single model: the model of each track was selected without its part.
    single_scores : Scores
        Scores of `single`.
    members_mean : float
        Weighted mean of the selected models' own scores, by the metric.
    recommended : bool
        Whether the cross-fitted vote is better than the cross-fitted best single model, by the metric.
    """

    weights: np.ndarray
    probabilities: np.ndarray
    scores: Scores
    single: np.ndarray
    single_scores: Scores
    members_mean: float
    recommended: bool

    @property
    def members(self) -> list[int]:
        """Numbers of the selected models, by decreasing weight."""
        order = np.argsort(-self.weights, kind="stable")
        return [int(number) for number in order if self.weights[number] > 0]


def select_ensemble(
    models: np.ndarray,
    truth: np.ndarray,
    groups: TrackGroups,
    *,
    metric: Metric = "accuracy",
    rounds: int = ROUNDS,
    parts: int = PARTS,
    seed: int = 0,
) -> EnsembleChoice:
    """Select an ensemble and score it by cross-fitting.

    Parameters
    ----------
    models : ndarray, shape (n_models, n_tracks, n_classes)
        Out-of-fold probabilities of each model on common tracks.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.
    groups : TrackGroups
        Groups of the tracks; a group is never on both sides of the cross-fitting.
    metric : str
        The metric to optimise. Ties are resolved by the lower log loss.
    rounds : int
        Maximum number of additions.
    parts : int
        Number of parts for cross-fitting.
    seed : int
        Seed of the parts.

    Raises
    ------
    ValueError
        If there are no models, or fewer than two groups.
    """
    if not len(models) or groups.n_groups < 2:
        raise ValueError("an ensemble needs at least one model and two groups of tracks")
    part = groups.parts(parts, seed)
    vote, single = np.zeros(models.shape[1:]), np.zeros(models.shape[1:])
    for number in range(int(part.max()) + 1):
        held_out = part == number
        training = models[:, ~held_out]
        weights = greedy_weights(training, truth[~held_out], metric=metric, rounds=rounds)
        vote[held_out] = np.tensordot(weights, models[:, held_out], axes=1)
        single[held_out] = models[best_model(training, truth[~held_out], metric), held_out]
    weights = greedy_weights(models, truth, metric=metric, rounds=rounds)
    scores, single_scores = score(vote, truth), score(single, truth)
    own_scores = [score(model, truth).value(metric) for model in models]
    better = scores.rank_key(metric)[0] > single_scores.rank_key(metric)[0]
    return EnsembleChoice(
        weights=weights,
        probabilities=vote,
        scores=scores,
        single=single,
        single_scores=single_scores,
        members_mean=float(weights @ np.array(own_scores)),
        recommended=bool(better and (weights > 0).sum() > 1),
    )


def best_model(models: np.ndarray, truth: np.ndarray, metric: Metric) -> int:
    """Find the model with the best score, by the metric, then by log loss."""
    keys = [score(model, truth).rank_key(metric) for model in models]
    return max(range(len(keys)), key=keys.__getitem__)


def greedy_weights(
    models: np.ndarray, truth: np.ndarray, *, metric: Metric = "accuracy", rounds: int = ROUNDS
) -> np.ndarray:
    """Select models greedily, with replacement.

    Parameters
    ----------
    models : ndarray, shape (n_models, n_tracks, n_classes)
        Probabilities of each model.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.
    metric : str
        The metric to optimise. Ties are resolved by the lower log loss.
    rounds : int
        Maximum number of additions.

    Returns
    -------
    ndarray of float64, shape (n_models,)
        Weights, which sum to 1, of the best ensemble after any round.
    """
    # Classes first, so that the most probable one is found by a few operations on long arrays.
    by_class = np.ascontiguousarray(np.moveaxis(models, 2, 0))
    total = np.zeros((by_class.shape[0], 1, by_class.shape[2]))
    added = np.zeros(len(models))
    best_key: tuple[float, float] | None = None
    best = added
    for size in range(1, rounds + 1):
        model, key = _best_vote(total + by_class, size, truth, metric)
        total += by_class[:, [model]]
        added[model] += 1
        if best_key is None or key > best_key:
            best_key, best = key, added.copy()
    return np.asarray(best / best.sum())


def _best_vote(
    votes: np.ndarray, size: int, truth: np.ndarray, metric: Metric
) -> tuple[int, tuple[float, float]]:
    """Find the best of many votes, and its key as in `data.dataset.scores.Scores.rank_key`.

    Parameters
    ----------
    votes : ndarray, shape (n_classes, n_votes, n_tracks)
        Sums of the probabilities of `size` models.
    """
    # The losses, which resolve ties, are needed only for the best votes.
    leaders = np.arange(votes.shape[1])
    if metric != "log_loss":
        merits = _class_metric(votes, truth, metric)
        leaders = np.flatnonzero(merits == merits.max())
    of_truth = votes[:, leaders][truth, :, np.arange(len(truth))] / size
    losses = -np.log(np.maximum(of_truth, PROBABILITY_FLOOR)).mean(axis=0)
    first = int(losses.argmin())
    loss = float(losses[first])
    return int(leaders[first]), (-loss if metric == "log_loss" else float(merits.max()), -loss)


def _class_metric(votes: np.ndarray, truth: np.ndarray, metric: Metric) -> np.ndarray:
    """Score votes by a metric that needs no probabilities, shape (n_votes,)."""
    n_classes, n_votes, _ = votes.shape
    highest = votes == votes.max(axis=0)
    if metric == "accuracy" and np.count_nonzero(highest) == n_votes * len(truth):
        # Without a tie, the true genre is predicted where it has the highest vote.
        return np.asarray(highest[truth, :, np.arange(len(truth))].mean(axis=0))
    predicted = highest.argmax(axis=0)
    right = predicted == truth
    if metric == "accuracy":
        return np.asarray(right.mean(axis=1))
    # Counts per vote and genre, as if each vote had genres of its own.
    of_vote = n_classes * np.arange(n_votes)[:, None]
    counts = [
        np.bincount(numbers.ravel(), weights, n_votes * n_classes).reshape(n_votes, n_classes)
        for numbers, weights in ((of_vote + truth, right.ravel()), (of_vote + predicted, None))
    ]
    true = np.bincount(truth, minlength=n_classes)
    return class_scores(counts[0], true, counts[1])[metric]
