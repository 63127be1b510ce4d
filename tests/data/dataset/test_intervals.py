from __future__ import annotations

import pytest
from scipy.stats import binomtest

from data.dataset.intervals import wilson


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


def test_wilson_of_one_number_is_one_number() -> None:
    low, high = wilson(61, 100)
    assert float(low) < 0.61 < float(high)
