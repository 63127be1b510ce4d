"""Groups of dependent tracks (an artist, an album, copies of a recording) as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrackGroups:
    """The group of each track.

    Attributes
    ----------
    number : ndarray of int64, shape (n_tracks,)
        Group number of each track, from 0.
    size : ndarray of int64, shape (n_groups,)
        Number of tracks per group, at least 1.
    """

    number: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str] | np.ndarray) -> TrackGroups:
        """Create groups from the group name of each track."""
        _, number, size = np.unique(np.asarray(names, dtype=str), return_inverse=True, return_counts=True)
        return cls(number.astype(np.int64), size.astype(np.int64))

    @classmethod
    def independent(cls, n_tracks: int) -> TrackGroups:
        """Create one group per track."""
        return cls(np.arange(n_tracks, dtype=np.int64), np.ones(n_tracks, dtype=np.int64))

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.number)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.size)

    @property
    def clustered(self) -> bool:
        """Whether any group has more than one track."""
        return self.n_groups < self.n_tracks

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values over the tracks of each group.

        Parameters
        ----------
        values : ndarray, shape (n_tracks, ...)
            Values per track.

        Returns
        -------
        ndarray of float64, shape (n_groups, ...)
        """
        in_order = values[np.argsort(self.number, kind="stable")].astype(np.float64)
        if not self.clustered:
            return in_order
        first = np.cumsum(self.size) - self.size
        return np.asarray(np.add.reduceat(in_order, first, axis=0))

    def resampled(self, resamples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw groups with replacement.

        Returns
        -------
        ndarray of int64, shape (resamples, n_groups)
            How often each group was drawn; each row sums to `n_groups`.
        """
        drawn = np.empty((resamples, self.n_groups), dtype=np.int64)
        # Counting drawn numbers is three times as fast as a multinomial distribution with many equal weights.
        for row in drawn:
            row[:] = np.bincount(rng.integers(self.n_groups, size=self.n_groups), minlength=self.n_groups)
        return drawn

    def parts(self, count: int, seed: int) -> np.ndarray:
        """Distribute whole groups at random over parts with about equal numbers of tracks.

        Parameters
        ----------
        count : int
            Number of parts, limited by the number of groups.
        seed : int
            Seed of the order.

        Returns
        -------
        ndarray of int64, shape (n_tracks,)
            Part of each track, from 0.
        """
        count = min(count, self.n_groups)
        order = np.random.default_rng(seed).permutation(self.n_groups)
        order = order[np.argsort(-self.size[order], kind="stable")]
        part_of = np.empty(self.n_groups, dtype=np.int64)
        filled = np.zeros(count, dtype=np.int64)
        for group in order.tolist():
            part = int(filled.argmin())
            part_of[group] = part
            filled[part] += self.size[group]
        return part_of[self.number]
