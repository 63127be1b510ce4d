from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from data.analysis.median_filter import median_down_columns


@pytest.mark.parametrize("shape", [(200, 3), (31, 97), (30, 1), (7, 5), (1, 9), (8, 192), (1293, 70)])
def test_the_result_is_bit_identical_to_scipy(shape: tuple[int, int]) -> None:
    S = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = median_filter(S, size=(31, 1), mode="reflect")
    np.testing.assert_array_equal(median_down_columns(S), expected)


def test_equal_values_and_zeros() -> None:
    S = np.random.default_rng(0).integers(0, 3, size=(100, 20)).astype(np.float32)
    expected = median_filter(S, size=(31, 1), mode="reflect")
    np.testing.assert_array_equal(median_down_columns(S), expected)
