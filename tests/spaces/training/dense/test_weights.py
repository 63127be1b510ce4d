from __future__ import annotations

import numpy as np
import pytest

from spaces.training.dense.network import NORMALISATIONS, Architecture
from spaces.training.dense.weights import packed, unpacked


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("units", [(), (7,), (7, 5, 6)])
def test_packed_weights_are_unpacked_to_the_same(units: tuple[int, ...], normalisation: str) -> None:
    architecture = Architecture(4, 3, units, "gelu", normalisation)
    rng = np.random.default_rng(0)
    weights = [
        rng.normal(size=weight.shape).astype(np.float32) for weight in architecture.initial_weights(seed=0)
    ]
    arrays = packed(weights, architecture, 3)
    assert len(arrays) == 3 * 3 + 2
    assert [array.size for array in arrays[3 * len(units) : -2]] == [0] * 3 * (3 - len(units))
    for actual, expected in zip(unpacked(arrays, architecture), weights, strict=True):
        np.testing.assert_array_equal(actual, expected)
