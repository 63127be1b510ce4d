from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binomtest

from data.dataset.paired_tests import mcnemar, paired, paired_by_metric, sign_flip_test
from data.dataset.scores import Metric, score
from data.dataset.track_groups import TrackGroups


def test_paired_is_the_exact_mcnemar_test() -> None:
    a = np.array([True] * 12 + [False] * 3 + [True] * 50 + [False] * 35)
    b = np.array([False] * 12 + [True] * 3 + [True] * 50 + [False] * 35)
    test = paired(a, b)
    assert (test.n, test.only_a, test.only_b) == (100, 12, 3)
    # 2 * P(X <= 3) for X ~ Binomial(15, 1/2): 2 * (1 + 15 + 105 + 455) / 2**15
    assert test.p_value == pytest.approx(2 * 576 / 2**15)
    assert test.distinct
    assert test.difference == pytest.approx(0.09)
    assert test.low < 0.09 < test.high


def test_bootstrap_equals_resampling_of_tracks() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(400) < 0.8, rng.random(400) < 0.7
    difference = a.astype(float) - b.astype(float)
    resampled = difference[rng.integers(400, size=(5000, 400))].mean(axis=1)
    test = paired(a, b)
    assert test.low == pytest.approx(np.percentile(resampled, 2.5), abs=0.01)
    assert test.high == pytest.approx(np.percentile(resampled, 97.5), abs=0.01)


def test_equal_models_cannot_be_distinguished() -> None:
    right = np.array([True, False, True])
    test = paired(right, right)
    assert test.p_value == 1
    assert (test.difference, test.low, test.high) == (0, 0, 0)
    assert not test.distinct


def test_the_seed_determines_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(50_000) < 0.8, rng.random(50_000) < 0.7
    assert paired(a, b, seed=3) == paired(a, b, seed=3)
    assert paired(a, b, seed=3) != paired(a, b, seed=4)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (10, 25), (400, 310), (7000, 7900)])
def test_mcnemar_is_the_binomial_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-12)


def enumerated(by_group: list[int]) -> float:
    """Compute the p value by enumerating all signs."""
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(by_group))).reshape(len(by_group), -1)
    return float(np.mean(np.abs(np.array(by_group) @ signs) >= abs(sum(by_group))))


@pytest.mark.parametrize(
    "by_group", [[3, -1], [2, 2, 1, -1], [5, 1, 1, 1, -2, 3], [4], [1, 1, 1, -1, 2, -3, 6, 2, 2]]
)
def test_the_sign_flip_test_equals_the_enumeration_of_all_signs(by_group: list[int]) -> None:
    difference, names = [], []
    for number, total in enumerate(by_group):
        difference += [int(np.sign(total))] * abs(total) + [1, -1]
        names += [f"g{number}"] * (abs(total) + 2)
    groups = TrackGroups.of(names)
    assert sign_flip_test(np.array(difference), groups) == pytest.approx(enumerated(by_group))


def test_groups_of_one_track_lead_to_the_mcnemar_test() -> None:
    rng = np.random.default_rng(0)
    difference = rng.choice([-1, 0, 1], size=300, p=[0.1, 0.75, 0.15])
    # One group of two tracks that agree changes nothing, but makes the test use groups.
    groups = TrackGroups.of([*map(str, range(300)), "pair", "pair"])
    assert groups.clustered
    expected = mcnemar(int((difference == 1).sum()), int((difference == -1).sum()))
    assert sign_flip_test(np.append(difference, [0, 0]), groups) == pytest.approx(expected)


def test_a_difference_in_a_single_group_is_not_significant() -> None:
    a = np.ones(60, dtype=bool)
    b = a.copy()
    b[:20] = False
    by_track, by_group = paired(a, b), paired(a, b, TrackGroups.of(np.repeat(["x", "y", "z"], 20)))
    assert by_track.distinct
    assert by_group.p_value == 1
    assert not by_group.distinct
    assert by_group.test_name == "exact sign-flip test over 3 groups"
    assert by_group.low <= 0 < by_group.high
    assert by_group.difference == by_track.difference == pytest.approx(1 / 3)


def test_groups_without_a_difference_have_p_1() -> None:
    assert sign_flip_test(np.zeros(4, dtype=int), TrackGroups.of(["a", "a", "b", "b"])) == 1


def test_a_large_table_is_tested_quickly() -> None:
    rng = np.random.default_rng(0)
    difference = rng.choice([-1, 0, 1], size=100_000, p=[0.12, 0.75, 0.13])
    groups = TrackGroups.of(rng.integers(0, 20_000, 100_000).astype(str))
    p_value = sign_flip_test(difference, groups)
    by_group = groups.sums(difference)
    # With so many groups the sum is as good as normal.
    expected = 2 * NormalDist().cdf(-abs(by_group.sum()) / float(np.sqrt((by_group**2).sum())))
    assert p_value == pytest.approx(expected, rel=0.05)


def predictions(quality: float, truth: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities of a model that prefers the true genre by `quality`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(truth), 4)) + quality * np.eye(4)[truth]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


TRUTH = np.random.default_rng(7).integers(0, 4, 120)
GROUPS = TrackGroups.of([str(number) for number in np.arange(120) // 12])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss"])
def test_a_paired_test_by_another_metric_enumerates_exchanges_of_groups(metric: Metric) -> None:
    a, b = predictions(1.2, TRUTH, 1), predictions(0.9, TRUTH, 2)
    test = paired_by_metric(a, b, TRUTH, metric, GROUPS)
    observed = score(a, TRUTH).value(metric) - score(b, TRUTH).value(metric)
    assert test.difference == pytest.approx(observed)
    assert test.metric == metric
    assert (test.n, test.n_groups, test.worse) == (120, 10, (observed > 0) == (metric == "log_loss"))
    assert test.low < observed < test.high
    as_extreme = 0
    for exchange in range(2**10):
        swapped = ((exchange >> GROUPS.number) & 1).astype(bool)[:, None]
        difference = score(np.where(swapped, b, a), TRUTH).value(metric) - score(
            np.where(swapped, a, b), TRUTH
        ).value(metric)
        as_extreme += abs(difference) >= abs(observed) - 1e-12
    assert test.p_value == pytest.approx(as_extreme / 2**10, abs=0.025)


def test_a_paired_test_by_another_metric_tells_models_apart() -> None:
    good, poor = predictions(2.5, TRUTH, 1), predictions(0.2, TRUTH, 2)
    for metric in ("balanced_accuracy", "macro_f1", "log_loss"):
        test = paired_by_metric(poor, good, TRUTH, metric, GROUPS)  # type: ignore[arg-type]
        assert test.distinct
        assert test.worse
    same = paired_by_metric(good, good, TRUTH, "log_loss")
    assert (same.p_value, same.difference, same.n_groups) == (1.0, 0.0, 120)
    right_a, right_b = (each.argmax(axis=1) == TRUTH for each in (good, poor))
    assert paired_by_metric(good, poor, TRUTH, "accuracy", GROUPS) == paired(right_a, right_b, GROUPS)
