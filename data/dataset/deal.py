"""One split for all families of a collection, which does not change when tracks are added.

The first split is made by `data.dataset.splits.make_split` and stored in the cache by seed, test fraction and
number of folds. Tracks that are added later join it without moving others. A hold-out is its fold 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from data.cache.cache import Cache
from data.cache.writer import OK
from data.dataset.splits import HOLD_OUT, TEST, Split, check_request, make_split, require_training_tracks
from data.errors import CacheError
from data.io.folder import Folder

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "splits"
"""Folder of a cache with the stored splits."""
_VERSION, _FORMAT = b"genre_search.split", b"1"


@dataclass(frozen=True)
class Deal:
    """A split of all usable tracks, and its differences from the stored one.

    Attributes
    ----------
    split : Split
        The side of each track, with labels and groups.
    joined : list of str
        Tracks that were added to the stored split.
    moved : list of str
        Tracks that changed sides, because groups on different sides were merged.
    stored : bool
        Whether the split is stored; False if the cache cannot be written.
    """

    split: Split
    joined: list[str]
    moved: list[str]
    stored: bool = False


def usable_tracks(cache: Cache) -> pd.DataFrame:
    """List the usable tracks of a cache from its manifest.

    All families split the same tracks, so that a track without one kind of input does not move others.

    Returns
    -------
    DataFrame
        One row per track, sorted, with the object columns ``track_id``, ``label`` and ``group``.

    Raises
    ------
    CacheError
        If the manifest is missing or cannot be read.
    """
    import pandas as pd

    columns = ["track_id", "label", "group", "status"]
    try:
        table = cache.folder.read_table("manifest.parquet", columns)
    except OSError as error:
        raise CacheError(
            f"{cache.folder.uri}/manifest.parquet: cannot be read ({error}); prepare the cache again"
        ) from error
    frame = pd.DataFrame({name: table[name].to_pylist() for name in columns}, dtype=object)
    usable = frame[frame["status"] == OK].drop(columns="status")
    return usable.sort_values("track_id").reset_index(drop=True)


def deal(
    tracks: pd.DataFrame, *, folds: int, test_fraction: float, seed: int, earlier: Split | None = None
) -> Deal:
    """Split tracks; each track of an earlier split keeps its side.

    A new group joins the side where it restores the proportions of its genres best. A track of a known group
    joins that group. If groups of different sides were merged, for example because a new file is a copy from
    both, all their tracks move to the searchable side with most of them. Moving test tracks to training is
    harmless; the reverse would add tracks that searches have used to the test set.

    Parameters
    ----------
    tracks : DataFrame
        One row per usable track, sorted: ``track_id``, ``label``, ``group``.
    folds : int
        Number of folds; 1 makes `HOLD_OUT` folds, of which `Split.hold_out` uses the first.
    test_fraction : float
        Fraction of the tracks in the locked test set, from 0 (none) to 0.5.
    seed : int
        Seed of the shuffling.
    earlier : Split, optional
        The stored split with the same three numbers (see `stored_folds` for the number of folds).

    Raises
    ------
    SplitError
        See `data.dataset.splits.make_split`.
    """
    share = check_request(tracks, folds=folds, test_fraction=test_fraction)
    count = stored_folds(folds)
    if earlier is None:
        return Deal(make_split(tracks, folds=count, test_fraction=test_fraction, seed=seed), [], [])
    extended = _extended(tracks, earlier, _shares(share, count), seed)
    require_training_tracks(extended.split)
    return extended


def stored_folds(folds: int) -> int:
    """Return the number of folds of the stored split for a request."""
    return HOLD_OUT if folds == 1 else folds


def stored_deal(cache: Folder, tracks: pd.DataFrame, *, folds: int, test_fraction: float, seed: int) -> Deal:
    """Split the tracks of a cache by its stored split, which is created or extended if necessary.

    Parameters
    ----------
    cache : Folder
        The cache. If it cannot be written, the split is computed each time, with the same sides as long as no
        tracks are added.
    tracks, folds, test_fraction, seed
        See `deal`.

    Raises
    ------
    SplitError
        See `data.dataset.splits.make_split`.
    CacheError
        If the stored split cannot be read or has another format.
    """
    count = stored_folds(folds)
    name = f"seed{seed}-test{test_fraction:g}-folds{count}.parquet"
    folder = cache / FOLDER
    earlier = _read(folder, name)
    full = deal(tracks, folds=count, test_fraction=test_fraction, seed=seed, earlier=earlier)
    stored = True
    if earlier is None or full.joined or full.moved:
        try:
            _write(folder, name, _with_absent(full.split, earlier))
        except OSError:
            stored = False
    split = full.split.hold_out() if folds == 1 else full.split
    return replace(full, split=split, stored=stored)


def _read(folder: Folder, name: str) -> Split | None:
    try:
        if not folder.exists(name):
            return None
        table = folder.read_table(name)
    except OSError as error:
        raise CacheError(f"{folder.uri}/{name}: cannot be read ({error.strerror or error})") from error
    version = (table.schema.metadata or {}).get(_VERSION)
    if version != _FORMAT or not {"track_id", "fold", "label", "group"} <= set(table.column_names):
        raise CacheError(
            f"{folder.uri}/{name}: a split in another format; delete the file to split the tracks again"
        )
    return Split.from_frame(table.to_pandas())


def _write(folder: Folder, name: str, split: Split) -> None:
    table = pa.Table.from_pandas(split.frame(), preserve_index=False)
    folder.write_table(name, table.replace_schema_metadata({_VERSION: _FORMAT}))


def _with_absent(split: Split, earlier: Split | None) -> Split:
    """Add stored tracks that are not usable now, so that they keep their side if they return."""
    if earlier is None:
        return split
    absent = ~np.isin(earlier.track_id.astype(str), split.track_id.astype(str))
    combined = [np.concatenate(pair) for pair in zip(_arrays(split), _masked(earlier, absent), strict=True)]
    order = np.argsort(combined[0].astype(str), kind="stable")
    return Split(*(values[order] for values in combined))


def _arrays(split: Split) -> list[np.ndarray]:
    if split.label is None or split.group is None:
        raise CacheError("a stored split lacks labels or groups; delete it to split the tracks again")
    return [split.track_id, split.fold, split.label, split.group]


def _masked(split: Split, mask: np.ndarray) -> list[np.ndarray]:
    return [values[mask] for values in _arrays(split)]


def _shares(test: Fraction, count: int) -> dict[int, float]:
    """Fraction of the tracks on each side."""
    sides = {number: float((1 - test) / count) for number in range(count)}
    return {TEST: float(test), **sides} if test else sides


def _extended(tracks: pd.DataFrame, earlier: Split, shares: dict[int, float], seed: int) -> Deal:
    """Extend an earlier split to the current tracks."""
    side_before = dict(zip(earlier.track_id.tolist(), earlier.fold.tolist(), strict=True))
    names, label = tracks["track_id"].tolist(), tracks["label"].to_numpy(object).astype(str)
    _, group = np.unique(tracks["group"].to_numpy(object).astype(str), return_inverse=True)
    genres, genre = np.unique(label, return_inverse=True)
    members: dict[int, list[int]] = {}
    for row, number in enumerate(group.tolist()):
        members.setdefault(number, []).append(row)

    fold = np.zeros(len(tracks), dtype=np.int64)
    filled = {side: np.zeros(len(genres)) for side in shares}
    new_groups, moved = [], []
    for number, rows in members.items():
        before = Counter(side_before[names[row]] for row in rows if names[row] in side_before)
        if not before:
            new_groups.append(number)
            continue
        side = _common_side(before)
        moved += [names[row] for row in rows if side_before.get(names[row], side) != side]
        fold[rows] = side
        filled[side] += np.bincount(genre[rows], minlength=len(genres))

    genre_counts = np.bincount(genre, minlength=len(genres)).astype(np.float64)
    order = np.random.default_rng(seed).permutation(len(new_groups))
    # Large groups first, so that small groups fill the remaining gaps.
    for index in sorted(order.tolist(), key=lambda index: -len(members[new_groups[index]])):
        rows = members[new_groups[index]]
        added = np.bincount(genre[rows], minlength=len(genres))
        side = min(shares, key=lambda side: _imbalance(filled[side], added, shares[side] * genre_counts))
        fold[rows] = side
        filled[side] += added
    joined = [name for name in names if name not in side_before]
    split = Split(
        tracks["track_id"].to_numpy(object),
        fold,
        tracks["label"].to_numpy(object),
        tracks["group"].to_numpy(object),
    )
    return Deal(split, joined, moved)


def _common_side(before: Counter[int]) -> int:
    """Choose the side of a group from the numbers of its tracks on each side."""
    searchable = {side: count for side, count in before.items() if side != TEST}
    return min(searchable, key=lambda side: (-searchable[side], side)) if searchable else TEST


def _imbalance(filled: np.ndarray, added: np.ndarray, target: np.ndarray) -> float:
    """Change of the chi-square distance to the target counts per genre if tracks are added to a side."""
    affected = added > 0
    gap = (filled - target)[affected]
    return float((((gap + added[affected]) ** 2 - gap**2) / target[affected]).sum())
