from __future__ import annotations

import numpy as np
import pytest

from data.dataset.ensemble_selection import greedy_weights, select_ensemble
from data.dataset.scores import METRICS, Metric, score
from data.dataset.track_groups import TrackGroups

N, K = 300, 4


def models(count: int, *, noise: float, shared: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities from the truth and noise, a fraction of which all models share."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, N)
    common = rng.normal(size=(N, K))
    logits = [
        np.eye(K)[truth] + noise * (shared * common + (1 - shared) * rng.normal(size=(N, K)))
        for _ in range(count)
    ]
    powers = np.exp(np.array(logits))
    return powers / powers.sum(axis=2, keepdims=True), truth


@pytest.mark.parametrize("metric", METRICS)
def test_an_ensemble_of_independent_models_is_recommended(metric: Metric) -> None:
    probabilities, truth = models(8, noise=1.0)
    choice = select_ensemble(probabilities, truth, TrackGroups.independent(N), metric=metric)
    assert choice.recommended
    assert choice.weights.sum() == pytest.approx(1)
    assert len(choice.members) > 2
    assert choice.scores.rank_key(metric) > choice.single_scores.rank_key(metric)
    assert choice.scores == score(choice.probabilities, truth)
    if metric != "log_loss":
        assert choice.scores.value(metric) > choice.members_mean + 0.05


def test_a_much_better_model_is_selected_alone() -> None:
    good, truth = models(1, noise=0.3)
    rng = np.random.default_rng(1)
    random = rng.dirichlet(np.ones(K), size=(5, N))
    choice = select_ensemble(np.concatenate([random, good]), truth, TrackGroups.independent(N))
    assert choice.members[0] == 5
    assert choice.weights[5] > 0.5
    assert not choice.recommended
    assert choice.single_scores.accuracy == score(good[0], truth).accuracy


def test_the_cross_fitted_score_is_lower_than_that_of_the_selection() -> None:
    # Models of pure noise: a selection that is good on some tracks is not better on others.
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, N)
    noise = rng.dirichlet(np.ones(K), size=(30, N))
    choice = select_ensemble(noise, truth, TrackGroups.independent(N))
    selected = score(np.tensordot(choice.weights, noise, axes=1), truth).accuracy
    assert selected > 0.35
    assert choice.scores.accuracy == pytest.approx(0.25, abs=0.07)


def test_no_group_is_on_both_sides() -> None:
    # All tracks of a group have the same random label, which one model per group knows.
    rng = np.random.default_rng(0)
    groups = TrackGroups.of(np.repeat([f"g{number}" for number in range(6)], 50))
    truth = rng.integers(0, K, 6)[groups.number]
    experts = np.full((6, N, K), 1 / K)
    for number in range(6):
        in_group = groups.number == number
        experts[number, in_group] = np.eye(K)[truth[in_group]]
    choice = select_ensemble(experts, truth, groups, parts=6)
    assert score(np.tensordot(choice.weights, experts, axes=1), truth).accuracy == 1
    assert choice.scores.accuracy < 0.7


def test_a_model_can_be_added_again() -> None:
    good, truth = models(2, noise=0.9)
    weak, _ = models(1, noise=3.0)
    weights = greedy_weights(np.concatenate([good, weak]), truth, metric="log_loss")
    assert weights[:2].min() > weights[2]


def test_models_and_two_groups_are_required() -> None:
    with pytest.raises(ValueError, match="needs at least one model and two groups"):
        select_ensemble(np.empty((0, 3, 2)), np.zeros(3, dtype=int), TrackGroups.independent(3))


def reference_weights(
    probabilities: np.ndarray, truth: np.ndarray, metric: Metric, rounds: int
) -> np.ndarray:
    """The algorithm as published, one model at a time."""
    total, added = np.zeros(probabilities.shape[1:]), np.zeros(len(probabilities))
    best: tuple[tuple[float, float], np.ndarray] | None = None
    for size in range(1, rounds + 1):
        keys = [score((total + model) / size, truth).rank_key(metric) for model in probabilities]
        chosen = max(range(len(keys)), key=keys.__getitem__)
        total += probabilities[chosen]
        added[chosen] += 1
        if best is None or keys[chosen] > best[0]:
            best = keys[chosen], added.copy()
    assert best is not None
    return best[1] / best[1].sum()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tied", [False, True])
def test_votes_are_scored_like_single_models(metric: Metric, tied: bool) -> None:
    probabilities, truth = models(6, noise=1.5, shared=0.3)
    if tied:
        # Multiples of a quarter: many genres have equal votes, which the first of them wins.
        probabilities = np.round(4 * probabilities) / 4
    expected = reference_weights(probabilities, truth, metric, rounds=8)
    assert greedy_weights(probabilities, truth, metric=metric, rounds=8).tolist() == expected.tolist()
