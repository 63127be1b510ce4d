"""Paired tests of two models on the same tracks, for independent and for grouped tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.dataset.intervals import LEVEL, bootstrap_draws, mean_interval, percentiles
from data.dataset.scores import Metric, class_scores, score, sign, track_losses
from data.dataset.track_groups import TrackGroups

_RESAMPLES = 10_000
_EXCHANGES = 5_000
"""Number of random exchanges of a sampled test."""
_NEGLIGIBLE_FRACTION = 1e-20
"""Fraction of a sum below which further decreasing terms do not change its digits."""
_ROUNDING = 1e-12
"""Rounding error of a difference, which must not separate equal exchanges."""
_NEGLIGIBLE = 1e-60
"""Probability below which the terms of a distribution are ignored."""


@dataclass(frozen=True)
class Paired:
    """Comparison of two models on the same tracks.

    Attributes
    ----------
    n : int
        Number of tracks.
    n_groups : int
        Number of groups of dependent tracks; `n` for independent tracks.
    only_a, only_b : int
        Number of tracks that only the first model, or only the second, predicts correctly.
    p_value : float
        Two-sided p value: the probability of disagreements at least this uneven if both models are equally
        good; by the exact McNemar test, or by `sign_flip_test` if groups have several tracks.
    difference : float
        Score of the first minus that of the second.
    low, high : float
        Interval of the difference at `LEVEL`, by a bootstrap over tracks or groups.
    metric : str
        The metric of the score.
    """

    n: int
    n_groups: int
    only_a: int
    only_b: int
    p_value: float
    difference: float
    low: float
    high: float
    metric: Metric = "accuracy"

    @property
    def worse(self) -> bool:
        """Whether the first model has the worse score."""
        return sign(self.metric) * self.difference < 0

    @property
    def distinct(self) -> bool:
        """Whether the test distinguishes the models at `LEVEL`."""
        return self.p_value < 1 - LEVEL

    @property
    def clustered(self) -> bool:
        """Whether the test is by groups."""
        return self.n_groups < self.n

    @property
    def test_name(self) -> str:
        """Name of the test, for messages."""
        if self.metric != "accuracy":
            return f"sampled exchange test over {self.n_groups} groups"
        return f"exact sign-flip test over {self.n_groups} groups" if self.clustered else "exact McNemar test"


def paired(
    right_a: np.ndarray, right_b: np.ndarray, groups: TrackGroups | None = None, *, seed: int = 0
) -> Paired:
    """Test two models against each other.

    Parameters
    ----------
    right_a, right_b : ndarray of bool, shape (n,)
        Whether each model predicts a track correctly; the same tracks in the same order, at least one.
    groups : TrackGroups, optional
        Groups of the tracks; by default, the tracks are independent.
    seed : int
        Seed of the bootstrap.
    """
    n = len(right_a)
    groups = groups or TrackGroups.independent(n)
    difference = right_a.astype(np.int64) - right_b.astype(np.int64)
    only_a, only_b = int((difference > 0).sum()), int((difference < 0).sum())
    if groups.clustered:
        low, high = mean_interval(difference, groups, seed=seed)
        low, high = max(low, -1.0), min(high, 1.0)
    else:
        # Drawing tracks with replacement is equivalent to drawing the numbers of the three kinds of tracks.
        kinds = np.array([only_a, only_b, n - only_a - only_b]) / n
        drawn = np.random.default_rng(seed).multinomial(n, kinds, size=_RESAMPLES)
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / n, (tail, 100 - tail)).tolist()
    return Paired(
        n=n,
        n_groups=groups.n_groups,
        only_a=only_a,
        only_b=only_b,
        p_value=sign_flip_test(difference, groups),
        difference=(only_a - only_b) / n,
        low=float(low),
        high=float(high),
    )


def paired_by_metric(
    probabilities_a: np.ndarray,
    probabilities_b: np.ndarray,
    truth: np.ndarray,
    metric: Metric,
    groups: TrackGroups | None = None,
    *,
    seed: int = 0,
) -> Paired:
    """Test two models against each other by any metric.

    For other metrics than accuracy, the p value is that of a permutation test: if both models are equally
    good, their predictions could be exchanged within any group. The exchanges are sampled, and the observed
    one is counted among them, so that the p value is valid (Phipson and Smyth, 2010).

    Parameters
    ----------
    probabilities_a, probabilities_b : ndarray, shape (n, n_classes)
        Predictions of each model for the same tracks.
    truth : ndarray of int, shape (n,)
        Genre numbers.
    metric : str
        The metric.
    groups : TrackGroups, optional
        Groups of the tracks; by default, the tracks are independent.
    seed : int
        Seed of bootstrap and exchanges.
    """
    groups = groups or TrackGroups.independent(len(truth))
    right_a, right_b = (
        probabilities.argmax(axis=1) == truth for probabilities in (probabilities_a, probabilities_b)
    )
    if metric == "accuracy":
        return paired(right_a, right_b, groups, seed=seed)
    rng = np.random.default_rng(seed)
    exchanged = rng.integers(0, 2, size=(_EXCHANGES, groups.n_groups)).astype(np.float64)
    drawn = bootstrap_draws(groups, seed=seed).astype(np.float64)
    if metric == "log_loss":
        losses = track_losses(probabilities_a, truth) - track_losses(probabilities_b, truth)
        by_group = groups.sums(losses)
        null = ((1 - 2 * exchanged) @ by_group) / len(truth)
        bootstrapped = (drawn @ by_group) / (drawn @ groups.size)
    else:
        counts_a, counts_b = (
            _group_counts(probabilities, truth, groups)
            for probabilities in (probabilities_a, probabilities_b)
        )
        null = _exchanged_difference(exchanged, counts_a, counts_b, metric)
        bootstrapped = _metric_of(drawn, counts_a, metric) - _metric_of(drawn, counts_b, metric)
    difference = score(probabilities_a, truth).value(metric) - score(probabilities_b, truth).value(metric)
    as_extreme = int((np.abs(null) >= abs(difference) - _ROUNDING).sum())
    low, high = percentiles(bootstrapped, groups.n_groups)
    return Paired(
        n=len(truth),
        n_groups=groups.n_groups,
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
        p_value=(as_extreme + 1) / (_EXCHANGES + 1),
        difference=difference,
        low=low,
        high=high,
        metric=metric,
    )


_Counts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Tracks per group and genre that are right, that belong to it, and that are predicted as it."""


def _group_counts(probabilities: np.ndarray, truth: np.ndarray, groups: TrackGroups) -> _Counts:
    one_hot = np.eye(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    return (
        groups.sums(one_hot[truth] * (predicted == truth)[:, None]),
        groups.sums(one_hot[truth]),
        groups.sums(one_hot[predicted]),
    )


def _metric_of(weights: np.ndarray, counts: _Counts, metric: Metric) -> np.ndarray:
    """Compute a metric for each row of weights of the groups."""
    right, true, chosen = (weights @ count for count in counts)
    return class_scores(right, true, chosen)[metric]


def _exchanged_difference(exchanged: np.ndarray, a: _Counts, b: _Counts, metric: Metric) -> np.ndarray:
    """Compute the difference of a metric with the predictions of some groups exchanged."""
    sides = []
    for own, other in ((a, b), (b, a)):
        right, true, chosen = (
            (1 - exchanged) @ mine + exchanged @ theirs for mine, theirs in zip(own, other, strict=True)
        )
        sides.append(class_scores(right, true, chosen)[metric])
    return sides[0] - sides[1]


def mcnemar(only_a: int, only_b: int) -> float:
    """Compute the exact McNemar test, two-sided.

    Equal to ``scipy.stats.binomtest(only_a, only_a + only_b)``, whose distribution is symmetric here.
    scipy.stats is not used, because its import would delay the leaderboard.

    Parameters
    ----------
    only_a, only_b : int
        Number of tracks that only one of the two models predicts correctly.

    Returns
    -------
    float
        The p value; 1 if the models never disagree.
    """
    n, fewer = only_a + only_b, min(only_a, only_b)
    # Only the largest term of the tail is computed with integers, the others by their ratio to it. Integers
    # for all terms would take seconds for ten thousand disagreements.
    total = term = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (n - k + 1)
        total += term
        if term < _NEGLIGIBLE_FRACTION:
            break
    return min(1.0, 2 * (math.comb(n, fewer) / 2**n) * total)


def sign_flip_test(difference: np.ndarray, groups: TrackGroups) -> float:
    """Test whether two models are equally good, by the exact permutation test over groups, two-sided.

    If both models are equally good, they could be exchanged within any group. The test statistic is the sum
    over groups of (tracks that only A predicts correctly) - (tracks that only B predicts correctly); its
    distribution follows from flipping the sign of each group's term. The distribution is computed, not
    sampled. If every group has one track, this is the exact McNemar test.

    Parameters
    ----------
    difference : ndarray of int, shape (n_tracks,)
        1 if only A is correct, -1 if only B is correct, otherwise 0.
    groups : TrackGroups
        Groups of the tracks.

    Returns
    -------
    float
        The p value; 1 if no group differs.
    """
    by_group = np.rint(groups.sums(difference)).astype(np.int64)
    observed = abs(int(by_group.sum()))
    if not groups.clustered:
        return mcnemar(int((difference > 0).sum()), int((difference < 0).sum()))
    magnitudes, counts = np.unique(np.abs(by_group[by_group != 0]), return_counts=True)
    if not len(magnitudes):
        return 1.0
    # Probability of each number of units with a positive sign, from 0 to `total`.
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
