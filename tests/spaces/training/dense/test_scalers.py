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
def test_state_survives_json_and_applies_the_same(name: str, rows: np.ndarray) -> None:
    fitted = fit_scaler(name, rows[:80])
    again = json.loads(json.dumps(fitted))
    here, there = apply_scaler(fitted, rows), apply_scaler(again, rows)
    assert here.dtype == np.float32
    assert np.isfinite(here).all()
    assert np.array_equal(here, there)


@pytest.mark.parametrize("name", ["standard", "power"])
def test_training_rows_are_standardised(name: str, rows: np.ndarray) -> None:
    scaled = apply_scaler(fit_scaler(name, rows), rows)
    assert scaled[:, :2].mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert scaled[:, :2].std(axis=0) == pytest.approx(1, abs=1e-5)


def test_quantile_scaling_is_scikit_learns(rows: np.ndarray) -> None:
    expected = QuantileTransformer(n_quantiles=80, output_distribution="normal", subsample=None)
    expected.fit(rows[:80])
    scaled = apply_scaler(fit_scaler("quantile", rows[:80]), rows)
    assert scaled == pytest.approx(expected.transform(rows), abs=1e-6)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="'log' is not one of standard, robust"):
        fit_scaler("log", np.zeros((2, 2)))
