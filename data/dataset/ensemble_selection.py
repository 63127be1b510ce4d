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

from data.dataset.scores import Metric, Scores, score
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
    total = np.zeros(models.shape[1:])
    added = np.zeros(len(models))
    best_key: tuple[float, float] | None = None
    best = added
    for size in range(1, rounds + 1):
        keys = [score((total + model) / size, truth).rank_key(metric) for model in models]
        model = max(range(len(keys)), key=keys.__getitem__)
        total += models[model]
        added[model] += 1
        if best_key is None or keys[model] > best_key:
            best_key, best = keys[model], added.copy()
    return np.asarray(best / best.sum())
