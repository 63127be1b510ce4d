"""Intervals and paired tests that respect groups of dependent tracks.

Tracks of one artist or album are judged alike, so that a hundred of them say less than a hundred independent
ones. Where every group holds one track, each function here equals its plain counterpart in
`data.dataset.intervals` and `data.dataset.paired_tests`.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from data.dataset.scores import Metric, class_scores
from data.dataset.track_groups import TrackGroups

LEVEL = 0.95
"""Confidence level of every interval."""

_RESAMPLES = 2_000
_MAX_DRAWS = 20_000_000
"""Numbers that one bootstrap draws at most; beyond, fewer resamples, of which large data needs fewer."""
_NEGLIGIBLE = 1e-60
"""Terms of a distribution below this probability change no digit of a p value."""


def effective_tracks(right: np.ndarray, groups: TrackGroups) -> np.ndarray:
    """Compute how many independent tracks would tell as much about an accuracy as the clustered ones do.

    The number of tracks divided by the design effect, which is the variance of the ratio estimate over
    groups relative to that of independent tracks, and at least 1. Then it is reduced once more by
    (z / t)^2, because the variance is itself estimated from `n_groups` groups (Korn and Graubard, 1998).

    Parameters
    ----------
    right : ndarray of bool, shape (n_tracks,) or (n_tracks, n_models)
        Whether each track is predicted right.
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
    # With all tracks right, or none, nothing is known of the design effect: take the groups as the tracks.
    design_effect = np.divide(
        variance, independent, out=np.full(right.shape[1:], n / n_groups), where=independent > 0
    )
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return np.maximum(n / np.maximum(design_effect, 1) * (z / student_quantile(n_groups - 1)) ** 2, 1.0)


def student_quantile(degrees: int) -> float:
    """Upper quantile of Student's t for a two-sided interval at `LEVEL`.

    By the expansion of Abramowitz and Stegun (1964), 26.7.5, which is within 0.2 % from three degrees of
    freedom on, and exact formulas below: a leaderboard should not wait for the import of scipy.
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
    """Draw groups with replacement, as often as intervals need.

    Returns
    -------
    ndarray of int64, shape (resamples, n_groups)
        How often each group was drawn.
    """
    resamples = max(200, min(_RESAMPLES, _MAX_DRAWS // groups.n_groups))
    return groups.resampled(resamples, np.random.default_rng(seed))


def percentiles(values: np.ndarray, n_groups: int) -> tuple[float, float]:
    """Interval at `LEVEL` from bootstrapped values, by percentiles that are expanded for few groups.

    A bootstrap over G groups is too narrow by the factor sqrt((G - 1) / G) and by the ratio of the normal to
    Student's quantile; its percentiles are moved outwards accordingly (Hesterberg, 2015, section 4.4).
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
    """Bootstrap interval over groups of a metric that needs no probabilities.

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
    true, chosen = (draws @ groups.sums(one_hot[numbers]) for numbers in (truth, predicted))
    low, high = percentiles(class_scores(right, true, chosen)[metric], groups.n_groups)
    return max(low, 0.0), min(high, 1.0)


def mean_interval(values: np.ndarray, groups: TrackGroups, *, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval over groups of a mean per track, such as a log loss or a difference of accuracies.

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


def sign_flip_test(difference: np.ndarray, groups: TrackGroups) -> float:
    """Test whether two models are equally good, by the exact permutation test over groups, two-sided.

    If both models are equally good, their names could be exchanged within any group: the sum over groups of
    (tracks that only A gets right) - (tracks that only B gets right) has a distribution that follows from
    flipping the sign of each group's term. That distribution is computed, not sampled. Where every group
    holds one track this is the exact McNemar test.

    Parameters
    ----------
    difference : ndarray of int, shape (n_tracks,)
        1 where only A is right, -1 where only B is right, else 0.
    groups : TrackGroups
        Groups of the tracks.

    Returns
    -------
    float
        The p value; 1 where no group differs.
    """
    by_group = np.rint(groups.sums(difference)).astype(np.int64)
    observed = abs(int(by_group.sum()))
    magnitudes, counts = np.unique(np.abs(by_group[by_group != 0]), return_counts=True)
    if not len(magnitudes):
        return 1.0
    # Probabilities of the number of units with a positive sign, from 0 to `total`.
    total = int((magnitudes * counts).sum())
    probability = np.ones(1)
    for magnitude, count in zip(magnitudes.tolist(), counts.tolist(), strict=True):
        signs = _binomial(count)
        longer = np.zeros(len(probability) + magnitude * count)
        for positive in np.flatnonzero(signs > _NEGLIGIBLE).tolist():
            start = magnitude * positive
            longer[start : start + len(probability)] += signs[positive] * probability
        probability = longer
    distance = np.abs(2 * np.arange(total + 1) - total)
    return float(min(1.0, probability[distance >= observed].sum()))


def _binomial(count: int) -> np.ndarray:
    """Distribution of the number of heads among fair coins, shape (count + 1,)."""
    heads = np.arange(count + 1)
    factorials = np.array([math.lgamma(number + 1) for number in range(count + 1)])
    return np.asarray(
        np.exp(factorials[count] - factorials[heads] - factorials[count - heads] - count * math.log(2))
    )
