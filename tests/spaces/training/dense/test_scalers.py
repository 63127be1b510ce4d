from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from spaces.training.dense.scalers import SCALERS, apply_scaler, fit_scaler


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(5, 2, 120), rng.lognormal(10, 2, 120), np.full(120, 3.0)])


@pytest.mark.parametrize("name", SCALERS)
def test_a_scaler_restored_from_json_gives_the_same_result(name: str, rows: np.ndarray) -> None:
    scaler = fit_scaler(name, rows[:80])
    restored = json.loads(json.dumps(scaler))
    expected, actual = apply_scaler(scaler, rows), apply_scaler(restored, rows)
    assert expected.dtype == np.float32
    assert np.isfinite(expected).all()
    assert np.array_equal(actual, expected)


@pytest.mark.parametrize("name", ["standard", "power"])
def test_training_rows_are_standardised(name: str, rows: np.ndarray) -> None:
    scaled = apply_scaler(fit_scaler(name, rows), rows)
    assert scaled[:, :2].mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert scaled[:, :2].std(axis=0) == pytest.approx(1, abs=1e-5)


def test_quantile_scaling_equals_that_of_scikit_learn(rows: np.ndarray) -> None:
    expected = QuantileTransformer(n_quantiles=80, output_distribution="normal", subsample=None)
    expected.fit(rows[:80])
    scaled = apply_scaler(fit_scaler("quantile", rows[:80]), rows)
    assert scaled == pytest.approx(expected.transform(rows), abs=1e-6)


def test_an_unknown_scaler_is_refused() -> None:
    with pytest.raises(ValueError, match="'log' is not one of standard, robust"):
        fit_scaler("log", np.zeros((2, 2)))
