"""Paired tests between two models on the same tracks, for independent tracks and for groups of tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.dataset.intervals import LEVEL, mean_interval
from data.dataset.track_groups import TrackGroups

_RESAMPLES = 10_000
_NEGLIGIBLE_SHARE = 1e-20
"""Share of a sum below which further, ever smaller terms change no digit of it."""
_NEGLIGIBLE = 1e-60
"""Probability below which the terms of a distribution are left out."""


@dataclass(frozen=True)
class Paired:
    """Two models on the same tracks.

    Attributes
    ----------
    n : int
        Tracks.
    n_groups : int
        Groups of dependent tracks; `n` where the tracks are taken as independent.
    only_a, only_b : int
        Tracks that only the first, or only the second, gets right.
    p_value : float
        Two-sided: the probability of so uneven a share of the disagreements if both models were equally
        good. By the exact McNemar test, or by `sign_flip_test` where groups hold several tracks.
    difference : float
        Accuracy of the first minus that of the second, from -1 to 1.
    low, high : float
        Interval of the difference at `LEVEL`, by bootstrap over tracks, or over groups.
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
        """Whether the test tells the two apart at `LEVEL`."""
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
        Whether each gets a track right; the same tracks in the same order, at least one.
    groups : TrackGroups, optional
        Groups of the tracks; each track is independent by default.
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
        # To draw tracks with replacement is to draw how many there are of each of the three kinds.
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

    The sum of ``scipy.stats.binomtest(only_a, only_a + only_b)``, whose distribution is symmetric here: a
    leaderboard should not wait for the import of scipy.stats.

    Parameters
    ----------
    only_a, only_b : int
        Tracks that only one of the two models gets right.

    Returns
    -------
    float
        The p value; 1 where the two never disagree.
    """
    n, fewer = only_a + only_b, min(only_a, only_b)
    # Only the greatest term of the tail is computed in whole numbers, the others by their ratio to it: whole
    # numbers for all of them would take seconds for ten thousand disagreements.
    total = term = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (n - k + 1)
        total += term
        if term < _NEGLIGIBLE_SHARE:
            break
    return min(1.0, 2 * (math.comb(n, fewer) / 2**n) * total)


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
    if not groups.clustered:
        return mcnemar(int((difference > 0).sum()), int((difference < 0).sum()))
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
