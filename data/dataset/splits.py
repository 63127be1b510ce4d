"""Which tracks a search trains on, which it validates on, and which it never sees.

Splits are made by group, never by row: segments of a track, duplicates of a recording and tracks that were
named as one group (an artist, an album) always stay on one side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import SplitError
from data.io.csv_files import read_listing

if TYPE_CHECKING:
    import pandas as pd

TEST = -1
"""Fold number of a track that is locked away for the one final test."""
TRAIN = -2
"""Fold number of a track that is only ever trained on."""
UNUSED = -3
"""Fold number of a track that a published partition leaves out."""

HOLD_OUT = 5
"""``folds=1`` holds out one part in this many."""

_MOST_PARTS = 20
"""Tracks are dealt into so many parts at most, of which some are locked away."""

_SIDES = {"train": TRAIN, "valid": 0, "test": TEST}


@dataclass(frozen=True)
class Split:
    """The side of every track.

    Attributes
    ----------
    track_id : ndarray of object, shape (n_tracks,)
        Tracks, sorted.
    fold : ndarray of int64, shape (n_tracks,)
        The fold in which a track is validated on, or `TEST`, `TRAIN` or `UNUSED`.
    """

    track_id: np.ndarray
    fold: np.ndarray

    @property
    def n_folds(self) -> int:
        """Number of folds; 1 for a single hold-out."""
        return int(self.fold.max()) + 1

    @property
    def test(self) -> np.ndarray:
        """Locked test tracks as a mask, shape (n_tracks,)."""
        return np.asarray(self.fold == TEST)

    @property
    def searchable(self) -> np.ndarray:
        """Tracks that a search may see, to train or to validate on, as a mask, shape (n_tracks,)."""
        return np.asarray((self.fold >= 0) | (self.fold == TRAIN))

    def folds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Masks of the training and the validation tracks of each fold, each of shape (n_tracks,)."""
        for number in range(self.n_folds):
            valid = self.fold == number
            yield self.searchable & ~valid, valid

    def frame(self) -> pd.DataFrame:
        """Table of ``track_id`` and ``fold``, from which `from_frame` makes the split again."""
        import pandas as pd

        return pd.DataFrame({"track_id": self.track_id, "fold": self.fold})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Split:
        """Make a split from what `frame` gave."""
        return cls(np.array(frame["track_id"].tolist(), dtype=object), frame["fold"].to_numpy(np.int64))


def make_split(tracks: pd.DataFrame, *, folds: int, test_fraction: float, seed: int) -> Split:
    """Split tracks at random, stratified by label and without separating a group.

    Parameters
    ----------
    tracks : DataFrame
        One row a track: ``track_id``, ``label``, ``group``.
    folds : int
        Number of folds for cross-validation, at least 1; 1 holds out one part in `HOLD_OUT`.
    test_fraction : float
        Share of the tracks that is locked away, from 0 (none) to 0.5.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    Split
        The side of each track.

    Raises
    ------
    SplitError
        If a number is out of its bounds, if there is only one genre, or if a genre has fewer groups than
        folds.
    """
    if folds < 1:
        raise SplitError(f"--folds {folds}: must be at least 1 (1 is a single hold-out)")
    if not 0 <= test_fraction <= 0.5:
        raise SplitError(f"--test-fraction {test_fraction}: must be between 0 and 0.5")
    label = tracks["label"].to_numpy(object).astype(str)
    group = tracks["group"].to_numpy(object).astype(str)
    genres = np.unique(label).tolist()
    if len(genres) < 2:
        raise SplitError(f"the data has one genre only ({genres[0]}); a classifier needs at least two")

    fold = np.full(len(tracks), TRAIN, dtype=np.int64)
    rest = np.arange(len(tracks))
    if test_fraction > 0:
        share = Fraction(test_fraction).limit_denominator(_MOST_PARTS)
        if share.numerator == 0:
            raise SplitError(
                f"--test-fraction {test_fraction}: too small, {1 / _MOST_PARTS} is the smallest share that"
                " can be locked away; 0 locks nothing away"
            )
        option, advice = f"--test-fraction {test_fraction:g}", "give {share:.3g} or 0"
        parts = _parts(label, group, share.denominator, seed, option, advice)
        chosen = parts < share.numerator
        fold[chosen] = TEST
        rest = np.flatnonzero(~chosen)
    count = folds if folds > 1 else HOLD_OUT
    advice = "give --folds {groups} or fewer" if folds > 1 else "give --folds 2 to {groups}"
    parts = _parts(label[rest], group[rest], count, seed + 1, f"--folds {folds}", advice)
    if folds > 1:
        fold[rest] = parts
    else:
        fold[rest[parts == 0]] = 0
    split = Split(tracks["track_id"].to_numpy(object), fold)
    for train, _ in split.folds():
        lost = set(genres) - set(label[train].tolist())
        if lost:
            raise SplitError(
                f"genre {sorted(lost)[0]!r} would have no track to train on in one of the folds, because its"
                " groups are too large or too few; add tracks or lower --folds"
            )
    return split


def _parts(
    label: np.ndarray, group: np.ndarray, count: int, seed: int, option: str, advice: str
) -> np.ndarray:
    """Part number of each track, from 0 to count - 1, by scikit-learn's greedy stratified grouping.

    Where a genre has too few groups, `option` and `advice` tell the user, the latter with their number and
    the share of the tracks that one of them is.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for genre in np.unique(label).tolist():
        groups = len(np.unique(group[label == genre]))
        if groups < count:
            told = advice.format(groups=groups, share=1 / groups) if groups > 1 else "name other groups"
            raise SplitError(
                f"{option}: genre {genre!r} has {groups} independent groups of tracks, fewer than the"
                f" {count} parts asked for; {told}, or add tracks"
            )
    parts = np.empty(len(label), dtype=np.int64)
    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # class counts are checked above, by group
        for number, (_, chosen) in enumerate(splitter.split(label, label, group)):
            parts[chosen] = number
    return parts


def read_split(path: str | Path, tracks: pd.DataFrame) -> Split:
    """Take a published partition from a CSV file with the columns ``track_id`` and ``split``.

    Parameters
    ----------
    path : str or Path
        The CSV file; ``split`` is ``train``, ``valid`` or ``test``. A track of the cache that it does not
        name is not used.
    tracks : DataFrame
        One row a track: ``track_id``, ``label``, ``group``.

    Raises
    ------
    SplitError
        If the file cannot be read, names a track that is not in the cache or names one twice, has another
        word than the three, has nothing to train or to validate on, or separates a group.
    """
    given = read_listing(path, ("track_id", "split"), option="--splits", error=SplitError)
    row = {track: number for number, track in enumerate(tracks["track_id"])}
    group = tracks["group"].to_numpy(object)
    fold = np.full(len(tracks), UNUSED, dtype=np.int64)
    side_of: dict[str, str] = {}
    for line, (track, side) in enumerate(zip(given["track_id"], given["split"], strict=True), start=2):
        if side not in _SIDES:
            raise SplitError(f"--splits {path}, line {line}: {side!r} is not one of train, valid, test")
        if track not in row:
            raise SplitError(f"--splits {path}, line {line}: no track {track!r} in the cache")
        if fold[row[track]] != UNUSED:
            raise SplitError(f"--splits {path}, line {line}: track {track!r} is named twice")
        fold[row[track]] = _SIDES[side]
        name = group[row[track]]
        if side_of.setdefault(name, side) != side:
            raise SplitError(
                f"--splits {path}, line {line}: {track!r} is in {side}, but another track of its group"
                f" {name!r} (one recording, or one named group) is in {side_of[name]}; put both on one side"
            )
    label = tracks["label"].to_numpy(object)
    for side in ("train", "valid"):
        if not (fold == _SIDES[side]).any():
            raise SplitError(f"--splits {path}: no track is in {side}")
    lost = set(label[fold != UNUSED]) - set(label[fold == TRAIN])
    if lost:
        raise SplitError(f"--splits {path}: genre {sorted(lost)[0]!r} has no track in train")
    return Split(tracks["track_id"].to_numpy(object), fold)
