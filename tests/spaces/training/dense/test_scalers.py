from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

from spaces.training.dense.scalers import SCALERS, apply_scaler, fit_scaler


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack(
        [rng.normal(5, 2, 120), rng.lognormal(10, 2, 120), np.full(120, 3.0), rng.integers(-2, 3, 120)]
    )


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


@pytest.mark.parametrize("name", SCALERS)
def test_scaling_is_bit_by_bit_that_of_scikit_learn(name: str, rows: np.ndarray) -> None:
    steps = {
        "standard": [StandardScaler()],
        "robust": [RobustScaler()],
        "power": [StandardScaler(), PowerTransformer(standardize=False), StandardScaler()],
        "quantile": [QuantileTransformer(n_quantiles=80, output_distribution="normal", subsample=None)],
    }
    pipeline = make_pipeline(*steps[name]).fit(rows[:80])
    unchanged = rows.copy()
    scaled = apply_scaler(fit_scaler(name, rows[:80]), rows)
    assert np.array_equal(scaled, pipeline.transform(rows).astype(np.float32))
    assert np.array_equal(rows, unchanged)


def test_an_unknown_scaler_is_refused() -> None:
    with pytest.raises(ValueError, match="'log' is not one of standard, robust"):
        fit_scaler("log", np.zeros((2, 2)))
