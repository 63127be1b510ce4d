"""How sure a number is: intervals of accuracies, and paired tests between two models on the same tracks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Confidence level of every interval."""

_RESAMPLES = 10_000
_NEGLIGIBLE = 1e-20
"""Share of a sum below which further, ever smaller terms change no digit of it."""


def wilson(right: npt.ArrayLike, n: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of shares, at `LEVEL`, without continuity correction.

    The formula is that of ``scipy.stats.binomtest(...).proportion_ci(method="wilson")`` (Wilson, 1927),
    written for arrays, because a leaderboard asks for thousands.

    Parameters
    ----------
    right : array_like of int
        How many of the tracks are right; shapes broadcast.
    n : array_like of int
        How many tracks there are, at least 1.

    Returns
    -------
    low, high : ndarray of float64
        Bounds, from 0 to 1.
    """
    k, count = np.asarray(right, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (k + z**2 / 2) / (count + z**2)
    half = z / (count + z**2) * np.sqrt(k * (count - k) / count + z**2 / 4)
    # At the ends the bound is exactly 0 or 1; rounding would leave 1e-17 beyond them.
    low = np.where(k == 0, 0.0, np.clip(centre - half, 0.0, 1.0))
    high = np.where(k == count, 1.0, np.clip(centre + half, 0.0, 1.0))
    return low, high


@dataclass(frozen=True)
class Paired:
    """Two models judged on the same tracks.

    Attributes
    ----------
    n : int
        Tracks.
    only_a, only_b : int
        Tracks that only the first, or only the second, gets right.
    p_value : float
        Exact McNemar test, two-sided: how probable so uneven a share of the disagreements would be if both
        models were equally good.
    difference : float
        Accuracy of the first minus that of the second, from -1 to 1.
    low, high : float
        Interval of the difference at `LEVEL`, by paired bootstrap over tracks (percentiles).
    """

    n: int
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


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact McNemar test, two-sided.

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
    # The greatest term of the tail in whole numbers, the others by their ratio to it: all of them in whole
    # numbers would take seconds for some ten thousand disagreements.
    total = term = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (n - k + 1)
        total += term
        if term < _NEGLIGIBLE:
            break
    return min(1.0, 2 * (math.comb(n, fewer) / 2**n) * total)


def paired(right_a: np.ndarray, right_b: np.ndarray, *, seed: int = 0) -> Paired:
    """Test two models against each other.

    Parameters
    ----------
    right_a, right_b : ndarray of bool, shape (n,)
        Whether each gets a track right; the same tracks in the same order, at least one.
    seed : int
        Seed of the bootstrap.
    """
    n = len(right_a)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    disagreements = only_a + only_b
    # To draw tracks with replacement is to draw how many of each of the three kinds there are.
    kinds = np.array([only_a, only_b, n - disagreements]) / n
    drawn = np.random.default_rng(seed).multinomial(n, kinds, size=_RESAMPLES)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / n, (tail, 100 - tail))
    return Paired(n, only_a, only_b, mcnemar(only_a, only_b), (only_a - only_b) / n, float(low), float(high))
