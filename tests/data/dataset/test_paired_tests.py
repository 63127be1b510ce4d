from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from data.dataset.paired_tests import mcnemar, paired


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


def test_equal_models_cannot_be_told_apart() -> None:
    right = np.array([True, False, True])
    test = paired(right, right)
    assert test.p_value == 1
    assert (test.difference, test.low, test.high) == (0, 0, 0)
    assert not test.distinct


def test_the_seed_decides_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(50_000) < 0.8, rng.random(50_000) < 0.7
    assert paired(a, b, seed=3) == paired(a, b, seed=3)
    assert paired(a, b, seed=3) != paired(a, b, seed=4)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (10, 25), (400, 310), (7000, 7900)])
def test_mcnemar_is_the_binomial_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-12)
