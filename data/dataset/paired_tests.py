"""Paired tests of two models on the same tracks, for independent and for grouped tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.dataset.intervals import LEVEL, mean_interval
from data.dataset.track_groups import TrackGroups

_RESAMPLES = 10_000
_NEGLIGIBLE_FRACTION = 1e-20
"""Fraction of a sum below which further decreasing terms do not change its digits."""
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
        Accuracy of the first minus that of the second, from -1 to 1.
    low, high : float
        Interval of the difference at `LEVEL`, by a bootstrap over tracks or groups.
    """

    n: int
    n_groups: int
    only_a: int
    only_b: int
    p_value: float
    difference: float
    low: float
    high: float

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
