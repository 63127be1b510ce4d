from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset.calibration import (
    apply_temperature,
    calibrate,
    calibration_error,
    coverage_table,
    fit_temperature,
    reliability,
)
from data.dataset.track_groups import TrackGroups
from data.errors import CalibrationError


def honest(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return calibrated probabilities and labels drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), size=n)
    truth = (rng.random((n, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities, truth


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    probabilities, truth = honest()
    distorted = apply_temperature(probabilities, 1 / temperature)
    assert fit_temperature(distorted, truth) == pytest.approx(temperature, rel=0.08)


def test_calibration_reduces_overconfidence() -> None:
    probabilities, truth = honest()
    overconfident = apply_temperature(probabilities, 1 / 3)
    calibration = calibrate(overconfident, truth, TrackGroups.independent(len(truth)))
    assert calibration.temperature > 2.5
    assert calibration.ece_before > 0.1
    assert calibration.ece_after < 0.03
    assert calibration.loss_after < calibration.loss_before
    assert calibration_error(calibration.reliability_after) == calibration.ece_after
    assert calibration.coverage[0].coverage == 1
    assert calibration.record()["coverage"][0]["threshold"] == 0


@given(st.integers(0, 999), st.floats(0.1, 10))
def test_predictions_stay_the_same(seed: int, temperature: float) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(5), size=7)
    scaled = apply_temperature(probabilities, temperature)
    assert scaled.sum(axis=1) == pytest.approx(np.ones(7))
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_the_calibration_error_of_a_small_table() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    bins = reliability(probabilities, np.array([0, 1, 0, 0]), bins=10)
    assert [entry.n for entry in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 2, 0]
    # 0.9 claimed and half right; 0.6 claimed and all right.
    assert calibration_error(bins) == pytest.approx((0.4 + 0.4) / 2)


def test_coverage_and_accuracy() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    rows = coverage_table(probabilities, np.array([0, 0, 0, 1]), thresholds=(0.0, 0.7, 0.95))
    assert [(row.n, row.coverage, row.accuracy) for row in rows] == [
        (4, 1.0, 0.75),
        (2, 0.5, 1.0),
        (0, 0.0, None),
    ]


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        ([[0.9, 0.1], [0.2, 0.8]], [0, 1], "all predictions are correct"),
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], "all predictions are correct"),
        ([[0.9, 0.1], [0.2, 0.8]], [1, 0], "hardly depend on the genre"),
        ([[0.9, 0.1]], [0], "fitted on 1 tracks"),
        ([[0.9, float("nan")], [0.2, 0.8]], [0, 1], "not a finite number"),
    ],
)
def test_a_temperature_that_cannot_be_fitted(
    probabilities: list[list[float]], truth: list[int], message: str
) -> None:
    with pytest.raises(CalibrationError, match=message):
        fit_temperature(np.array(probabilities), np.array(truth))
