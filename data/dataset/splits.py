"""Split tracks into those that a search trains on, validates on, and never sees.

Groups are never separated: segments of a track, copies of a recording and tracks of a named group (an artist,
an album) always stay on the same side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import SplitError
from data.io.counts import counted
from data.io.csv_files import read_listing

if TYPE_CHECKING:
    import pandas as pd

TEST = -1
"""Fold number of a track in the locked test set."""
TRAIN = -2
"""Fold number of a track that is only trained on."""
UNUSED = -3
"""Fold number of a track that is not used."""

HOLD_OUT = 5
"""With ``folds=1``, one of this many parts is held out."""

MAX_PARTS = 20
"""Maximum number of parts from which the test set is taken."""

_MANY_TRACKS = 10_000
"""Above this many tracks without groups, the greedy grouping takes more than five seconds."""

_SIDES = {"train": TRAIN, "valid": 0, "test": TEST}


@dataclass(frozen=True)
class Split:
    """The side of every track.

    Attributes
    ----------
    track_id : ndarray of object, shape (n_tracks,)
        Tracks, sorted.
    fold : ndarray of int64, shape (n_tracks,)
        The fold in which a track is validated, or `TEST`, `TRAIN` or `UNUSED`.
    label, group : ndarray of object, shape (n_tracks,), or None
        Genre and group of each track; None in splits that were stored by an older version.
    """

    track_id: np.ndarray
    fold: np.ndarray
    label: np.ndarray | None = None
    group: np.ndarray | None = None

    @property
    def n_folds(self) -> int:
        """Number of folds; 1 for a hold-out."""
        return int(self.fold.max()) + 1

    @property
    def test(self) -> np.ndarray:
        """Locked test tracks as a mask, shape (n_tracks,)."""
        return np.asarray(self.fold == TEST)

    @property
    def searchable(self) -> np.ndarray:
        """Tracks that a search may train or validate on, as a mask, shape (n_tracks,)."""
        return np.asarray((self.fold >= 0) | (self.fold == TRAIN))

    def folds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield masks of the training and validation tracks of each fold, each of shape (n_tracks,)."""
        for number in range(self.n_folds):
            valid = self.fold == number
            yield self.searchable & ~valid, valid

    def frame(self) -> pd.DataFrame:
        """Return a table of the attributes that are not None; see `from_frame`."""
        import pandas as pd

        columns = {"track_id": self.track_id, "fold": self.fold, "label": self.label, "group": self.group}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Split:
        """Create a split from a table of `frame`."""
        label, group = (
            np.array(frame[name].tolist(), dtype=object) if name in frame else None
            for name in ("label", "group")
        )
        track_id = np.array(frame["track_id"].tolist(), dtype=object)
        return cls(track_id, frame["fold"].to_numpy(np.int64), label, group)

    def hold_out(self) -> Split:
        """Return the split that validates only fold 0; tracks of other folds are only trained on."""
        return replace(self, fold=np.where(self.fold > 0, TRAIN, self.fold))


def make_split(tracks: pd.DataFrame, *, folds: int, test_fraction: float, seed: int) -> Split:
    """Split tracks at random, stratified by label and without separating a group.

    Parameters
    ----------
    tracks : DataFrame
        One row per track: ``track_id``, ``label``, ``group``.
    folds : int
        Number of folds for cross-validation, at least 1; 1 holds out one of `HOLD_OUT` parts.
    test_fraction : float
        Fraction of the tracks in the locked test set, from 0 (none) to 0.5.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    Split
        The side of each track.

    Raises
    ------
    SplitError
        If a number is out of bounds, there is only one genre, or a genre has fewer groups than folds.
    """
    share = check_request(tracks, folds=folds, test_fraction=test_fraction)
    label = tracks["label"].to_numpy(object).astype(str)
    group = tracks["group"].to_numpy(object).astype(str)
    fold = np.full(len(tracks), TRAIN, dtype=np.int64)
    rest = np.arange(len(tracks))
    if share:
        option, advice = f"--test-fraction {test_fraction:g}", "use {share:.3g} or 0"
        parts = _parts(label, group, share.denominator, seed, option, advice)
        locked = parts < share.numerator
        fold[locked] = TEST
        rest = np.flatnonzero(~locked)
    count = folds if folds > 1 else HOLD_OUT
    advice = "use --folds {groups} or fewer" if folds > 1 else "use --folds 2 to {groups}"
    parts = _parts(label[rest], group[rest], count, seed + 1, f"--folds {folds}", advice)
    if folds > 1:
        fold[rest] = parts
    else:
        fold[rest[parts == 0]] = 0
    split = _split_of(tracks, fold)
    require_training_tracks(split)
    return split


def check_request(tracks: pd.DataFrame, *, folds: int, test_fraction: float) -> Fraction:
    """Check the arguments of a split, and that there are at least two genres.

    Returns
    -------
    Fraction
        The test fraction as a ratio of whole parts.

    Raises
    ------
    SplitError
        If a number is out of bounds, or there is only one genre.
    """
    if folds < 1:
        raise SplitError(f"--folds {folds}: must be at least 1 (1 is a single hold-out)")
    if not 0 <= test_fraction <= 0.5:
        raise SplitError(f"--test-fraction {test_fraction}: must be between 0 and 0.5")
    genres = sorted(set(tracks["label"].astype(str)))
    if len(genres) < 2:
        raise SplitError(f"the data has only one genre ({''.join(genres)}); a classifier needs at least two")
    share = Fraction(test_fraction).limit_denominator(MAX_PARTS)
    if test_fraction > 0 and share.numerator == 0:
        raise SplitError(
            f"--test-fraction {test_fraction}: too small; the minimum is {1 / MAX_PARTS}, or 0 for no test"
            " set"
        )
    return share


def require_training_tracks(split: Split) -> None:
    """Check that each genre has a training track in every fold.

    Parameters
    ----------
    split : Split
        The split; without labels, nothing is checked.

    Raises
    ------
    SplitError
        If a genre has no training track.
    """
    if split.label is None:
        return
    for train, _ in split.folds():
        missing = set(split.label[split.fold != UNUSED]) - set(split.label[train])
        if missing:
            raise SplitError(
                f"genre {sorted(missing)[0]!r} has no training track in one of the folds, because its"
                " groups are too large or too few; add tracks or use fewer --folds"
            )


def _split_of(tracks: pd.DataFrame, fold: np.ndarray) -> Split:
    columns = {name: tracks[name].to_numpy(object) for name in ("track_id", "label", "group")}
    return Split(fold=fold, **columns)


def _parts(
    label: np.ndarray, group: np.ndarray, count: int, seed: int, option: str, advice: str
) -> np.ndarray:
    """Part number of each track, from 0 to count - 1, by scikit-learn's greedy stratified grouping.

    The greedy grouping takes half a millisecond per group, so many tracks without groups are only stratified.

    The error for a genre with too few groups quotes `option` and `advice`. `advice` can contain ``{groups}``,
    the number of groups, and ``{share}``, the fraction of one group.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    for genre in np.unique(label).tolist():
        groups = len(np.unique(group[label == genre]))
        if groups < count:
            remedy = advice.format(groups=groups, share=1 / groups) if groups > 1 else "name other groups"
            raise SplitError(
                f"{option}: genre {genre!r} has {counted(groups, 'independent group')} of"
                f" tracks, fewer than the {count} requested parts; {remedy}, or add tracks"
            )
    parts = np.empty(len(label), dtype=np.int64)
    grouped = len(label) <= _MANY_TRACKS or len(np.unique(group)) < len(group)
    splitter = (StratifiedGroupKFold if grouped else StratifiedKFold)(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # class counts are checked above, by group
        for number, (_, members) in enumerate(splitter.split(label, label, group)):
            parts[members] = number
    return parts


def read_split(path: str | Path, tracks: pd.DataFrame) -> Split:
    """Read a published partition from a CSV file with the columns ``track_id`` and ``split``.

    Parameters
    ----------
    path : str or Path
        The CSV file; ``split`` is ``train``, ``valid`` or ``test``. Tracks that it does not name are not
        used.
    tracks : DataFrame
        One row per track: ``track_id``, ``label``, ``group``.

    Raises
    ------
    SplitError
        If the file cannot be read, names an unknown track or a track twice, contains another word, has no
        track in train or valid, or separates a group.
    """
    partition = read_listing(path, ("track_id", "split"), option="--splits", error=SplitError)
    row = {track: number for number, track in enumerate(tracks["track_id"])}
    group = tracks["group"].to_numpy(object)
    fold = np.full(len(tracks), UNUSED, dtype=np.int64)
    side_of: dict[str, str] = {}
    for line, (track, side) in enumerate(
        zip(partition["track_id"], partition["split"], strict=True), start=2
    ):
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
    missing = set(label[fold != UNUSED]) - set(label[fold == TRAIN])
    if missing:
        raise SplitError(f"--splits {path}: genre {sorted(missing)[0]!r} has no track in train")
    return _split_of(tracks, fold)
