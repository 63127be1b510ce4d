"""Calibrate probabilities: temperature scaling, calibration error, accuracy by confidence.

Temperature scaling (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017)
divides the logits by one number, which changes no prediction. It is fitted on the out-of-fold probabilities
of tracks, averaged over their segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data.dataset.scores import PROBABILITY_FLOOR, track_losses
from data.dataset.track_groups import TrackGroups
from data.errors import CalibrationError

BINS = 15
"""Number of confidence bins of the calibration error, as in the paper."""
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Minimum confidences in the table of coverage and accuracy."""
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0
_BOUND_TOLERANCE = 0.01
"""A temperature this close to a bound, as a logarithm, counts as reaching it."""
_PARTS = 5


@dataclass(frozen=True)
class ReliabilityBin:
    """Tracks whose highest probability is in one range.

    Attributes
    ----------
    low, high : float
        The range: greater than `low`, at most `high`.
    n : int
        Number of tracks.
    confidence, accuracy : float
        Mean highest probability, and fraction of correct predictions; 0 without tracks.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Coverage:
    """Accuracy if predictions below a minimum confidence are withheld.

    Attributes
    ----------
    threshold : float
        Minimum confidence.
    coverage : float
        Fraction of the tracks with at least this confidence.
    n : int
        Number of tracks with at least this confidence.
    accuracy : float or None
        Fraction of correct predictions among them; None without tracks.
    """

    threshold: float
    coverage: float
    n: int
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature and its effect.

    Attributes
    ----------
    temperature : float
        Temperature, fitted on all tracks; greater than 1 if the model is overconfident.
    ece_before, ece_after : float
        Expected calibration error, from 0 to 1. The value after calibration is cross-fitted: the temperature
        of each track was fitted without its part of the tracks.
    loss_before, loss_after : float
        Log loss in nats; the value after calibration is cross-fitted.
    reliability_before, reliability_after : list of ReliabilityBin
        Bins of the calibration errors.
    coverage : list of Coverage
        Coverage at `THRESHOLDS`, after calibration.
    """

    temperature: float
    ece_before: float
    ece_after: float
    loss_before: float
    loss_after: float
    reliability_before: list[ReliabilityBin]
    reliability_after: list[ReliabilityBin]
    coverage: list[Coverage]

    def record(self) -> dict[str, Any]:
        """Return the content for JSON."""
        return asdict(self)


def calibrate(
    probabilities: np.ndarray, truth: np.ndarray, groups: TrackGroups, *, seed: int = 0
) -> Calibration:
    """Fit a temperature on out-of-fold probabilities and measure its effect by cross-fitting.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.
    groups : TrackGroups
        Groups of the tracks; a group is never on both sides of the cross-fitting.
    seed : int
        Seed of the parts for cross-fitting.

    Raises
    ------
    CalibrationError
        If no temperature can be fitted.
    """
    temperature = fit_temperature(probabilities, truth)
    part = groups.parts(_PARTS, seed)
    after = np.empty_like(probabilities, dtype=np.float64)
    for number in range(int(part.max()) + 1):
        held_out = part == number
        try:
            fitted = fit_temperature(probabilities[~held_out], truth[~held_out])
        except CalibrationError:
            # Without this part there are too few tracks, so use the temperature of all tracks.
            fitted = temperature
        after[held_out] = apply_temperature(probabilities[held_out], fitted)
    before_bins, after_bins = reliability(probabilities, truth), reliability(after, truth)
    return Calibration(
        temperature=temperature,
        ece_before=calibration_error(before_bins),
        ece_after=calibration_error(after_bins),
        loss_before=float(track_losses(probabilities, truth).mean()),
        loss_after=float(track_losses(after, truth).mean()),
        reliability_before=before_bins,
        reliability_after=after_bins,
        coverage=coverage_table(after, truth),
    )


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Find the temperature that minimises the log loss.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.

    Raises
    ------
    CalibrationError
        If a probability is not finite, there are fewer than two tracks, or the loss has no minimum between
        0.05 and 20, because all predictions are correct or the probabilities do not depend on the genre.
    """
    from scipy.optimize import minimize_scalar

    if len(truth) < 2 or not np.isfinite(probabilities).all():
        raise CalibrationError(
            f"no temperature can be fitted on {len(truth)} tracks"
            + ("" if len(truth) < 2 else ": a probability is not a finite number")
        )
    logits = np.log(np.maximum(probabilities, PROBABILITY_FLOOR))
    logits_of_truth = logits[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.mean(normaliser - logits_of_truth / np.exp(log_temperature)))

    problem = f"no temperature can be fitted on {len(truth)} tracks"
    # Checked first, because the loss is flat for probabilities of 0 and 1, and the minimum is arbitrary.
    if (logits.argmax(axis=1) == truth).all():
        raise CalibrationError(
            f"{problem}: all predictions are correct, so the most extreme probabilities would be best;"
            " validate on more tracks"
        )
    bounds = (np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE))
    log_temperature = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    if min(log_temperature - bounds[0], bounds[1] - log_temperature) < _BOUND_TOLERANCE:
        raise CalibrationError(
            f"{problem}: the best one would be beyond {np.exp(log_temperature):.2g}, so the probabilities"
            " hardly depend on the genre; validate on more tracks"
        )
    return float(np.exp(log_temperature))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Scale probabilities, shape (..., n_classes), by a temperature; predictions stay the same."""
    scaled = np.log(np.maximum(probabilities, PROBABILITY_FLOOR)) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> list[ReliabilityBin]:
    """Compare confidence and accuracy in bins of equal width."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(number, minlength=bins)
    divisor = np.maximum(counts, 1)
    mean_confidence = np.bincount(number, confidence, bins) / divisor
    accuracy = np.bincount(number, right, bins) / divisor
    return [
        ReliabilityBin(
            index / bins,
            (index + 1) / bins,
            int(counts[index]),
            float(mean_confidence[index]),
            float(accuracy[index]),
        )
        for index in range(bins)
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Compute the expected calibration error: the mean gap between confidence and accuracy."""
    n = sum(entry.n for entry in bins)
    return sum(entry.n * abs(entry.confidence - entry.accuracy) for entry in bins) / max(n, 1)


def coverage_table(
    probabilities: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> list[Coverage]:
    """Tabulate coverage and accuracy at each minimum confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    rows = []
    for threshold in thresholds:
        is_covered = confidence >= threshold
        n = int(is_covered.sum())
        accuracy = float(right[is_covered].mean()) if n else None
        rows.append(Coverage(threshold, n / len(truth), n, accuracy))
    return rows
