"""Tasks: the rows that a learner trains and validates on, without the locked test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from data.cache.cache import Cache
from data.cache.rows import Array, Origin, Rows
from data.dataset.class_weights import ClassWeight, class_weights
from data.dataset.splits import Split
from data.errors import CacheError

_OPEN_CACHES = 4
"""Number of arrays that a process keeps mapped."""


@dataclass(frozen=True)
class TensorRows:
    """Some tensors of a cache, by row number: a reference of a few bytes that other processes can read.

    It is indexed like an array, by row numbers. Reading maps an array that all processes of a node share, so
    only the requested rows are copied.

    Attributes
    ----------
    origin : Origin
        Where the tensors are stored.
    rows : ndarray of int64, shape (n,)
        Their numbers among all tensors of that kind in the cache.
    tensor_shape : tuple of int
        Shape of one tensor.
    dtype : dtype
        Type in the cache.
    """

    origin: Origin
    rows: np.ndarray
    tensor_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as an array: (n, ...)."""
        return (len(self.rows), *self.tensor_shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all the rows."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """Copy rows, by anything that indexes the first axis."""
        return np.asarray(tensors_at(self.origin)[self.rows[chosen]])


@lru_cache(maxsize=_OPEN_CACHES)
def tensors_at(origin: Origin) -> Array:
    """Map all tensors of a kind, read-only.

    Raises
    ------
    CacheError
        If the cache is missing, or holds other data than before.
    """
    cache = Cache.open(origin.cache)
    if cache.input_fingerprint(origin.kind) != origin.fingerprint:
        raise CacheError(
            f"{origin.cache}: holds other data than when the search began; restore it, or start a new search"
        )
    return cache.rows(origin.kind).X


Inputs = np.ndarray | TensorRows
"""Inputs of a task: features in memory, or tensors in a cache. Both have `shape`, `dtype` and `nbytes`, and
are indexed by row numbers."""


@dataclass(frozen=True)
class Fold:
    """Row numbers of one fold.

    Attributes
    ----------
    train, valid : ndarray of int64
        Row numbers into `Task.X`; `valid` is empty for a final fit on all tracks that a search saw.
    """

    train: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Task:
    """A classification task in arrays.

    Attributes
    ----------
    X : ndarray or TensorRows, shape (n_rows, ...)
        Inputs, one per segment.
    y : ndarray of int32, shape (n_rows,)
        Number of the genre in `classes`.
    track : ndarray of int32, shape (n_rows,)
        Number of the track in `track_id`.
    track_id : ndarray of object, shape (n_tracks,)
        Names of the tracks.
    classes : tuple of str
        Genres, sorted.
    folds : tuple of Fold
        The folds; one for a hold-out.
    blocks : tuple of (str, int)
        Kinds of input whose columns are side by side in `X`, with their widths; empty for tensors.
    class_weight : str
        How genres are weighted in the training loss; see `data.dataset.class_weights`.
    """

    X: Inputs
    y: np.ndarray
    track: np.ndarray
    track_id: np.ndarray
    classes: tuple[str, ...]
    folds: tuple[Fold, ...]
    blocks: tuple[tuple[str, int], ...] = ()
    class_weight: ClassWeight = "none"

    def loss_weights(self, fold: Fold) -> np.ndarray | None:
        """Return the weight of each genre in the training loss of a fold, from its training rows only.

        Returns
        -------
        ndarray of float32, shape (n_classes,), or None
            None if genres are not weighted.
        """
        return class_weights(self.class_weight, self.y[fold.train], len(self.classes))

    def with_blocks(self, kinds: Sequence[str]) -> Task:
        """Return the same task on the columns of some kinds of input only.

        Parameters
        ----------
        kinds : sequence of str
            Some of those in `blocks`; their order does not matter.
        """
        ends = np.cumsum([0, *(width for _, width in self.blocks)])
        chosen = [number for number, (kind, _) in enumerate(self.blocks) if kind in kinds]
        if len(chosen) == len(self.blocks):
            return self
        columns = np.concatenate([np.arange(ends[number], ends[number + 1]) for number in chosen])
        blocks = tuple(self.blocks[number] for number in chosen)
        return replace(self, X=self.X[:, columns], blocks=blocks)

    @property
    def track_label(self) -> np.ndarray:
        """Genre number of each track, int32, shape (n_tracks,)."""
        labels = np.empty(len(self.track_id), dtype=np.int32)
        labels[self.track] = self.y
        return labels

    @property
    def validated(self) -> np.ndarray:
        """Numbers of the tracks that some fold validates on, sorted."""
        return np.unique(np.concatenate([self.track[fold.valid] for fold in self.folds]))


def search_task(rows: Rows, split: Split) -> Task:
    """Select the rows for a search: all tracks but the locked test, with the split's folds.

    Tracks of the split that have no rows are left out; see `missing_inputs`.
    """
    seen = _select(rows, split, split.searchable)
    sides = dict(zip(split.track_id, split.fold, strict=True))
    fold_of_row = np.array([sides[track] for track in seen.track_id[seen.track]])
    folds = tuple(
        Fold(np.flatnonzero(fold_of_row != number), np.flatnonzero(fold_of_row == number))
        for number in range(split.n_folds)
    )
    return replace(seen, folds=folds)


def refit_task(rows: Rows, split: Split) -> Task:
    """Select the rows for a final fit: training and validation tracks, nothing to validate on."""
    return _select(rows, split, split.searchable)


def locked_task(rows: Rows, split: Split) -> Task:
    """Select the rows of the locked test, for the scoring after the search."""
    return _select(rows, split, split.test)


def missing_inputs(rows: Rows, split: Split) -> list[str]:
    """List the tracks of a split for which there is no input of this kind."""
    have = set(rows.track_id)
    return [track for track in split.track_id[split.searchable | split.test].tolist() if track not in have]


def _select(rows: Rows, split: Split, wanted: np.ndarray) -> Task:
    """Make a task of the wanted tracks, all of them on the training side of a single fold."""
    used = split.searchable | split.test
    label_of = dict(zip(rows.track_id, rows.label, strict=True))
    present = np.array([track in label_of for track in split.track_id], dtype=bool)
    labels = (
        [label_of[track] for track in split.track_id[used & present]]
        if split.label is None
        else split.label[used].tolist()
    )
    classes = tuple(sorted(set(map(str, labels))))
    tracks = split.track_id[wanted & present]
    number = {track: index for index, track in enumerate(tracks)}
    chosen = np.array([index for index, track in enumerate(rows.track_id) if track in number], dtype=np.int64)
    genre = {name: index for index, name in enumerate(classes)}
    return Task(
        X=_inputs(rows, chosen),
        y=np.array([genre[label] for label in rows.label[chosen]], dtype=np.int32),
        track=np.array([number[track] for track in rows.track_id[chosen]], dtype=np.int32),
        track_id=tracks,
        classes=classes,
        folds=(Fold(np.arange(len(chosen)), np.empty(0, dtype=np.int64)),),
        blocks=rows.blocks,
    )


def _inputs(rows: Rows, chosen: np.ndarray) -> Inputs:
    if rows.origin is None:
        return rows.X[chosen]
    return TensorRows(rows.origin, chosen, rows.X.shape[1:], rows.X.dtype)
