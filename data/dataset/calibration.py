"""Probabilities that mean what they say: temperature scaling, calibration error, accuracy by confidence.

Temperature scaling (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017)
divides the logits by one number, which changes no prediction. It is fitted on out-of-fold probabilities of
tracks, after the vote of their segments.
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
"""Bins of confidence for the calibration error, as in the paper."""
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Confidences of the table of coverage against accuracy."""
_COLDEST, _HOTTEST = 0.05, 20.0
_BOUND_TOLERANCE = 0.01
"""Distance to a bound, in the logarithm of the temperature, below which it is taken as reached."""
_PARTS = 5


@dataclass(frozen=True)
class ReliabilityBin:
    """Tracks whose highest probability is in one range.

    Attributes
    ----------
    low, high : float
        The range: above `low`, up to `high`.
    n : int
        Tracks in it.
    confidence, accuracy : float
        Their mean highest probability, and the share that is right; 0 where there is no track.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Coverage:
    """What remains if answers below a confidence are withheld.

    Attributes
    ----------
    threshold : float
        Least confidence of an answer.
    coverage : float
        Share of the tracks that are answered.
    n : int
        Tracks that are answered.
    accuracy : float or None
        Share of those that is right; None where none is answered.
    """

    threshold: float
    coverage: float
    n: int
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature and what it changes.

    Attributes
    ----------
    temperature : float
        Above 1 where the model is overconfident. Fitted on all tracks.
    ece_before, ece_after : float
        Expected calibration error, from 0 to 1. After: each track by a temperature that was fitted without
        its part of the tracks.
    loss_before, loss_after : float
        Log loss in nats, in the same way.
    reliability_before, reliability_after : list of ReliabilityBin
        What the calibration errors are made of.
    coverage : list of Coverage
        At `THRESHOLDS`, after calibration.
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
    """Fit a temperature on out-of-fold probabilities and measure, by cross-fitting, what it changes.

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
            # Too few tracks without this part: what all of them say is the next best.
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
    """Find the temperature of the least log loss.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.

    Raises
    ------
    CalibrationError
        If a probability is not finite, there are fewer than two tracks, or the loss has no minimum from 0.05
        to 20: all tracks are right, or the probabilities say nothing about the genre.
    """
    from scipy.optimize import minimize_scalar

    if len(truth) < 2 or not np.isfinite(probabilities).all():
        raise CalibrationError(
            f"no temperature can be fitted on {len(truth)} tracks"
            + ("" if len(truth) < 2 else ": a probability is not a finite number")
        )
    logits = np.log(np.maximum(probabilities, PROBABILITY_FLOOR))
    of_truth = logits[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.mean(normaliser - of_truth / np.exp(log_temperature)))

    place = f"no temperature can be fitted on {len(truth)} tracks"
    # Checked first: where probabilities are 0 and 1 the loss is flat, and the search ends anywhere.
    if (logits.argmax(axis=1) == truth).all():
        raise CalibrationError(
            f"{place}: all of them are predicted right, so the most extreme probabilities would be best;"
            " validate on more tracks"
        )
    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    log_temperature = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    if min(log_temperature - bounds[0], bounds[1] - log_temperature) < _BOUND_TOLERANCE:
        raise CalibrationError(
            f"{place}: the best would be beyond {np.exp(log_temperature):.2g}, so the probabilities say next"
            " to nothing about the genre; validate on more tracks"
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
            each / bins,
            (each + 1) / bins,
            int(counts[each]),
            float(mean_confidence[each]),
            float(accuracy[each]),
        )
        for each in range(bins)
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Compute the expected calibration error: the mean gap between confidence and accuracy, by tracks."""
    n = sum(each.n for each in bins)
    return sum(each.n * abs(each.confidence - each.accuracy) for each in bins) / max(n, 1)


def coverage_table(
    probabilities: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> list[Coverage]:
    """Tabulate how many tracks are answered, and how well, at each least confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    rows = []
    for threshold in thresholds:
        answered = confidence >= threshold
        n = int(answered.sum())
        accuracy = float(right[answered].mean()) if n else None
        rows.append(Coverage(threshold, n / len(truth), n, accuracy))
    return rows
