"""Confidence intervals of scores, for independent and for grouped tracks.

Predictions for tracks of the same artist or album are similar, so a hundred of them carry less information
than a hundred independent tracks. If every group has one track, the intervals are those of independent
tracks.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from data.dataset.scores import Metric, class_scores
from data.dataset.track_groups import TrackGroups

LEVEL = 0.95
"""Confidence level of every interval."""

_RESAMPLES = 2_000
_MAX_DRAWS = 20_000_000
"""Maximum number of draws of a bootstrap; larger data needs fewer resamples."""


def wilson(right: npt.ArrayLike, n: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Compute the Wilson score interval of fractions at `LEVEL`, without continuity correction.

    The formula is that of ``scipy.stats.binomtest(...).proportion_ci(method="wilson")`` (Wilson, 1927),
    vectorised, because a leaderboard computes thousands of intervals.

    Parameters
    ----------
    right : array_like
        Number of correct tracks; shapes broadcast.
    n : array_like
        Number of independent tracks, at least 1; see `effective_tracks` for grouped tracks.

    Returns
    -------
    low, high : ndarray of float64
        Bounds, from 0 to 1.
    """
    k, count = np.asarray(right, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (k + z**2 / 2) / (count + z**2)
    half = z / (count + z**2) * np.sqrt(k * (count - k) / count + z**2 / 4)
    # Set the ends to exactly 0 and 1, because rounding leaves a difference of 1e-17.
    low = np.where(k == 0, 0.0, np.clip(centre - half, 0.0, 1.0))
    high = np.where(k == count, 1.0, np.clip(centre + half, 0.0, 1.0))
    return low, high


def accuracy_interval(right: np.ndarray, groups: TrackGroups) -> tuple[np.ndarray, np.ndarray]:
    """Compute the Wilson interval of accuracies at `LEVEL`, for the effective number of tracks.

    It covers the true accuracy more reliably than the percentiles of a bootstrap over groups, especially for
    few groups and near 100 % (see `benchmarks/uncertainty.py`), and needs no resampling.

    Parameters
    ----------
    right : ndarray of bool, shape (n_tracks,) or (n_tracks, n_models)
        Whether each track is predicted correctly.
    groups : TrackGroups
        Groups of the tracks.

    Returns
    -------
    low, high : ndarray of float64, shape () or (n_models,)
        Bounds, from 0 to 1.
    """
    n = effective_tracks(right, groups)
    return wilson(right.mean(axis=0) * n, n)


def effective_tracks(right: np.ndarray, groups: TrackGroups) -> np.ndarray:
    """Compute the number of independent tracks that give the same information about an accuracy.

    It is the number of tracks divided by the design effect: the variance of the ratio estimate over groups
    relative to that of independent tracks, at least 1. It is then multiplied by (z / t)^2, because the
    variance is itself estimated from `n_groups` groups (Korn and Graubard, 1998).

    Parameters
    ----------
    right : ndarray of bool, shape (n_tracks,) or (n_tracks, n_models)
        Whether each track is predicted correctly.
    groups : TrackGroups
        Groups of the tracks.

    Returns
    -------
    ndarray of float64, shape () or (n_models,)
        From 1 to n_tracks.
    """
    n, n_groups = groups.n_tracks, groups.n_groups
    if not groups.clustered:
        return np.full(right.shape[1:], float(n))
    share = right.mean(axis=0)
    size = groups.size.reshape(-1, *[1] * (right.ndim - 1))
    independent = share * (1 - share) / n
    if n_groups == 1:
        return np.ones(right.shape[1:])
    residual = groups.sums(right.astype(np.float64)) - share * size
    variance = n_groups / (n_groups - 1) * (residual**2).sum(axis=0) / n**2
    # If all or no predictions are correct, the design effect is unknown, so count groups instead of tracks.
    design_effect = np.divide(
        variance, independent, out=np.full(right.shape[1:], n / n_groups), where=independent > 0
    )
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return np.maximum(n / np.maximum(design_effect, 1) * (z / student_quantile(n_groups - 1)) ** 2, 1.0)


def student_quantile(degrees: int) -> float:
    """Upper quantile of Student's t for a two-sided interval at `LEVEL`.

    Computed by the expansion of Abramowitz and Stegun (1964), 26.7.5, with an error below 0.2 % for three or
    more degrees of freedom, and by exact formulas for one and two. scipy is not used, because its import
    would delay the leaderboard.
    """
    tail = (1 + LEVEL) / 2
    if degrees == 1:
        return math.tan(math.pi * (tail - 0.5))
    if degrees == 2:
        a = 2 * tail - 1
        return a * math.sqrt(2 / (1 - a * a))
    z = NormalDist().inv_cdf(tail)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


def bootstrap_draws(groups: TrackGroups, *, seed: int = 0) -> np.ndarray:
    """Draw groups with replacement, as often as intervals require.

    Returns
    -------
    ndarray of int64, shape (resamples, n_groups)
        How often each group was drawn.
    """
    resamples = max(200, min(_RESAMPLES, _MAX_DRAWS // groups.n_groups))
    return groups.resampled(resamples, np.random.default_rng(seed))


def percentiles(values: np.ndarray, n_groups: int) -> tuple[float, float]:
    """Compute an interval at `LEVEL` from bootstrapped values, with percentiles expanded for few groups.

    A bootstrap interval over G groups is too narrow by the factor sqrt((G - 1) / G) and by the ratio of the
    normal quantile to Student's; its percentiles are moved outwards accordingly (Hesterberg, 2015, section
    4.4).
    """
    if n_groups < 2:
        return -math.inf, math.inf
    shift = student_quantile(n_groups - 1) * math.sqrt(n_groups / (n_groups - 1))
    tail = 100 * NormalDist().cdf(-shift)
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)


def metric_interval(
    truth: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    metric: Metric,
    groups: TrackGroups,
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute the bootstrap interval over groups of a metric that needs no probabilities.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (n_tracks,)
        Genre numbers.
    n_classes : int
        Number of genres.
    metric : str
        ``accuracy``, ``balanced_accuracy`` or ``macro_f1``.
    groups : TrackGroups
        Groups of the tracks.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    low, high : float
        Bounds, from 0 to 1.
    """
    one_hot = np.eye(n_classes)
    draws = bootstrap_draws(groups, seed=seed).astype(np.float64)
    right = draws @ groups.sums(one_hot[truth] * (truth == predicted)[:, None])
    true, predicted_counts = (draws @ groups.sums(one_hot[numbers]) for numbers in (truth, predicted))
    low, high = percentiles(class_scores(right, true, predicted_counts)[metric], groups.n_groups)
    return max(low, 0.0), min(high, 1.0)


def mean_interval(values: np.ndarray, groups: TrackGroups, *, seed: int = 0) -> tuple[float, float]:
    """Compute the bootstrap interval over groups of a mean over tracks, such as the log loss.

    Parameters
    ----------
    values : ndarray, shape (n_tracks,)
        Value of each track.
    groups : TrackGroups
        Groups of the tracks.
    seed : int
        Seed of the bootstrap.
    """
    draws = bootstrap_draws(groups, seed=seed)
    means = (draws @ groups.sums(values.astype(np.float64))) / (draws @ groups.size)
    return percentiles(means, groups.n_groups)
