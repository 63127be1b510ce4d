"""Choose the members of an ensemble and their weights: greedy selection with replacement.

Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models" (ICML 2004): start
empty, add in each round the model whose vote improves the ensemble most, and allow a model to be added
again. Its number of additions is its weight. Because the selection sees the tracks that it is scored on, its
own score is too high; an honest one comes from cross-fitting: select on all parts of the tracks but one,
score on that one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.dataset.scores import Metric, Scores, score
from data.dataset.track_groups import TrackGroups

ROUNDS = 30
"""Additions at most; the best ensemble on the way is taken."""
PARTS = 10
"""Parts for cross-fitting."""


@dataclass(frozen=True)
class EnsembleChoice:
    """An ensemble that was selected, and how good it is.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_models,)
        Weight of each model's probabilities; they sum to 1, and are 0 for models that were not selected.
    probabilities : ndarray of float64, shape (n_tracks, n_classes)
        Cross-fitted vote: each track by an ensemble that was selected without its part.
    scores : Scores
        Scores of `probabilities`.
    single : ndarray of float64, shape (n_tracks, n_classes)
        The same for the best single model: chosen without the track's part.
    single_scores : Scores
        Scores of `single`.
    members_mean : float
        Mean score, by the metric, of the selected models alone, weighted.
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
        """Numbers of the selected models, the heaviest first."""
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
        What is optimised. Ties are resolved by the lower log loss.
    rounds : int
        Additions at most.
    parts : int
        Parts for cross-fitting.
    seed : int
        Seed of the parts.

    Raises
    ------
    ValueError
        If there is no model, or there are fewer than two groups.
    """
    if not len(models) or groups.n_groups < 2:
        raise ValueError("an ensemble needs a model and two groups of tracks")
    part = groups.parts(parts, seed)
    vote, single = np.zeros(models.shape[1:]), np.zeros(models.shape[1:])
    for number in range(int(part.max()) + 1):
        held_out = part == number
        seen = models[:, ~held_out]
        weights = greedy_weights(seen, truth[~held_out], metric=metric, rounds=rounds)
        vote[held_out] = np.tensordot(weights, models[:, held_out], axes=1)
        single[held_out] = models[best_model(seen, truth[~held_out], metric), held_out]
    weights = greedy_weights(models, truth, metric=metric, rounds=rounds)
    scores, single_scores = score(vote, truth), score(single, truth)
    alone = [score(model, truth).value(metric) for model in models]
    better = scores.rank_key(metric)[0] > single_scores.rank_key(metric)[0]
    return EnsembleChoice(
        weights=weights,
        probabilities=vote,
        scores=scores,
        single=single,
        single_scores=single_scores,
        members_mean=float(weights @ np.array(alone)),
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
        What is optimised. Ties are resolved by the lower log loss.
    rounds : int
        Additions at most.

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
