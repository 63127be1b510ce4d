from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student_t

from data.dataset.intervals import (
    accuracy_interval,
    effective_tracks,
    mean_interval,
    metric_interval,
    student_quantile,
    wilson,
)
from data.dataset.scores import Metric, score
from data.dataset.track_groups import TrackGroups


def test_wilson_equals_scipy() -> None:
    counts = [(k, n) for n in (1, 2, 7, 50, 800) for k in range(0, n + 1, max(1, n // 10))]
    low, high = wilson([k for k, _ in counts], [n for _, n in counts])
    for number, (k, n) in enumerate(counts):
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert low[number] == pytest.approx(expected.low, abs=1e-12)
        assert high[number] == pytest.approx(expected.high, abs=1e-12)


def test_wilson_is_bounded_at_the_ends() -> None:
    low, high = wilson([0, 10], 10)
    assert low[0] == 0
    assert high[1] == 1
    assert low[1] < 1
    assert high[0] > 0


def test_wilson_of_a_scalar_is_a_scalar() -> None:
    low, high = wilson(61, 100)
    assert float(low) < 0.61 < float(high)


def clustered(seed: int, *, n_groups: int = 60, size: int = 5) -> tuple[np.ndarray, TrackGroups]:
    """Return tracks where each group is entirely correct or entirely wrong."""
    rng = np.random.default_rng(seed)
    groups = TrackGroups.of([f"g{number}" for number in range(n_groups) for _ in range(size)])
    return (rng.random(n_groups) < 0.7)[groups.number], groups


def test_identical_tracks_of_a_group_count_once() -> None:
    right, groups = clustered(0)
    z, t = NormalDist().inv_cdf(0.975), student_quantile(59)
    # The variance over groups has the divisor of a sample, 59, in place of 60.
    assert float(effective_tracks(right, groups)) == pytest.approx(59 * (z / t) ** 2)


def test_the_interval_of_independent_tracks_is_the_wilson_interval() -> None:
    right = np.arange(50) < 31
    low, high = accuracy_interval(right, TrackGroups.independent(50))
    assert (float(low), float(high)) == tuple(float(bound) for bound in wilson(31, 50))


def test_intervals_of_several_models_equal_those_of_single_models() -> None:
    first, groups = clustered(0)
    second, _ = clustered(1)
    low, high = accuracy_interval(np.column_stack([first, second]), groups)
    for number, right in enumerate((first, second)):
        assert accuracy_interval(right, groups) == (low[number], high[number])


@pytest.mark.parametrize("right", [True, False])
def test_if_all_tracks_are_equal_each_group_counts_as_one_track(right: bool) -> None:
    _, groups = clustered(0, n_groups=30)
    low, high = accuracy_interval(np.full(groups.n_tracks, right), groups)
    # 30 of 30 independent tracks: Wilson's bound is 88.6 %; a little wider for the unknown variance.
    assert (low if right else 1 - high) == pytest.approx(0.8775, abs=0.004)
    assert (high if right else 1 - low) == 1


def test_one_group_gives_a_wide_interval() -> None:
    low, high = accuracy_interval(np.arange(40) < 30, TrackGroups.of(["a"] * 40))
    assert high - low > 0.7


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 10, 100])
def test_student_quantile_equals_scipy(degrees: int) -> None:
    assert student_quantile(degrees) == pytest.approx(student_t.ppf(0.975, degrees), rel=2e-3)


def test_a_bootstrap_over_groups_draws_whole_groups() -> None:
    right, groups = clustered(3)
    low, high = mean_interval(right, groups)
    by_group = right.reshape(60, 5)
    rng = np.random.default_rng(1)
    means = by_group[rng.integers(60, size=(4000, 60))].mean(axis=(1, 2))
    expected = np.percentile(means, [2.5, 97.5])
    assert low == pytest.approx(expected[0], abs=0.02)
    assert high == pytest.approx(expected[1], abs=0.02)
    # Expanded for few groups, within the resolution of one of sixty groups.
    assert high - low >= expected[1] - expected[0] - 1 / 60


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_the_interval_of_each_metric_contains_its_value(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    groups = TrackGroups.of(rng.integers(0, 40, 200).astype(str))
    truth = rng.integers(0, 3, 200)
    predicted = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))
    low, high = metric_interval(truth, predicted, 3, metric, groups)
    value = score(np.eye(3)[predicted], truth).value(metric)
    assert 0 < low < value < high < 1
    assert 0.05 < high - low < 0.3


def test_the_bootstrap_interval_of_accuracy_is_similar() -> None:
    right, groups = clustered(4, n_groups=200)
    low, high = metric_interval(np.ones(1000, int), right.astype(int), 2, "accuracy", groups)
    expected = accuracy_interval(right, groups)
    assert low == pytest.approx(float(expected[0]), abs=0.01)
    assert high == pytest.approx(float(expected[1]), abs=0.01)
