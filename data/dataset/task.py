"""Tasks: the rows that a model trains and validates on, without the locked test set."""

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
from data.errors import CacheError, InputsChangedError

_MAX_OPEN_ARRAYS = 4
"""Maximum number of arrays that a process keeps mapped."""


@dataclass(frozen=True)
class TensorRows:
    """Tensors of a cache by row number: a small reference that can be sent to other processes.

    It is indexed like an array. Reading maps an array that all processes of a node share, so only the
    requested rows are copied.

    Attributes
    ----------
    origin : Origin
        Location of the tensors.
    rows : ndarray of int64, shape (n,)
        Row numbers among all tensors of the kind in the cache.
    tensor_shape : tuple of int
        Shape of one tensor.
    dtype : dtype
        Type of the values.
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
        """Size of all rows in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Copy rows, selected by any index of the first axis."""
        return np.asarray(tensors_at(self.origin)[self.rows[index]])


@lru_cache(maxsize=_MAX_OPEN_ARRAYS)
def tensors_at(origin: Origin) -> Array:
    """Map all tensors of a kind as a read-only array.

    Raises
    ------
    InputsChangedError
        If the cache is missing or its data has changed.
    """
    try:
        cache = Cache.open(origin.cache)
        fingerprint = cache.input_fingerprint(origin.kind)
    except CacheError as error:
        raise InputsChangedError(str(error)) from error
    if fingerprint != origin.fingerprint:
        raise InputsChangedError(
            f"{origin.cache}: its data changed after the search started; restore it, or start a new search"
        )
    return cache.rows(origin.kind).X


Inputs = np.ndarray | TensorRows
"""Inputs of a task: an array in memory, or tensors in a cache. Both have `shape`, `dtype` and `nbytes`."""


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
        Kinds of input that are joined in `X`, with their numbers of columns; empty for tensors.
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
        """Return the same task with the columns of some kinds of input.

        Parameters
        ----------
        kinds : sequence of str
            Kinds from `blocks`, in any order.
        """
        ends = np.cumsum([0, *(width for _, width in self.blocks)])
        selected = [number for number, (kind, _) in enumerate(self.blocks) if kind in kinds]
        if len(selected) == len(self.blocks):
            return self
        columns = np.concatenate([np.arange(ends[number], ends[number + 1]) for number in selected])
        blocks = tuple(self.blocks[number] for number in selected)
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

    Tracks without rows are left out; see `missing_inputs`.
    """
    task = _select(rows, split, split.searchable)
    return replace(task, folds=row_folds(task, split))


def row_folds(task: Task, split: Split) -> tuple[Fold, ...]:
    """Return the rows of a task that each fold of a split trains and validates on."""
    sides = dict(zip(split.track_id, split.fold, strict=True))
    fold_of_row = np.array([sides[track] for track in task.track_id[task.track]])
    return tuple(
        Fold(np.flatnonzero(fold_of_row != number), np.flatnonzero(fold_of_row == number))
        for number in range(split.n_folds)
    )


def refit_task(rows: Rows, split: Split) -> Task:
    """Select the rows for a final fit: training and validation tracks, without validation."""
    return _select(rows, split, split.searchable)


def locked_task(rows: Rows, split: Split) -> Task:
    """Select the rows of the locked test set, to score them after the search."""
    return _select(rows, split, split.test)


def missing_inputs(rows: Rows, split: Split) -> list[str]:
    """List the tracks of a split that have no input of this kind."""
    with_input = set(rows.track_id)
    return [
        track for track in split.track_id[split.searchable | split.test].tolist() if track not in with_input
    ]


def _select(rows: Rows, split: Split, selected: np.ndarray) -> Task:
    """Create a task of the selected tracks, all on the training side of a single fold."""
    used = split.searchable | split.test
    label_of = dict(zip(rows.track_id, rows.label, strict=True))
    present = np.array([track in label_of for track in split.track_id], dtype=bool)
    labels = (
        [label_of[track] for track in split.track_id[used & present]]
        if split.label is None
        else split.label[used].tolist()
    )
    classes = tuple(sorted(set(map(str, labels))))
    tracks = split.track_id[selected & present]
    number = {track: index for index, track in enumerate(tracks)}
    row_numbers = np.array(
        [index for index, track in enumerate(rows.track_id) if track in number], dtype=np.int64
    )
    genre = {name: index for index, name in enumerate(classes)}
    return Task(
        X=_inputs(rows, row_numbers),
        y=np.array([genre[label] for label in rows.label[row_numbers]], dtype=np.int32),
        track=np.array([number[track] for track in rows.track_id[row_numbers]], dtype=np.int32),
        track_id=tracks,
        classes=classes,
        folds=(Fold(np.arange(len(row_numbers)), np.empty(0, dtype=np.int64)),),
        blocks=rows.blocks,
    )


def _inputs(rows: Rows, row_numbers: np.ndarray) -> Inputs:
    if rows.origin is None:
        return rows.X[row_numbers]
    return TensorRows(rows.origin, row_numbers, rows.X.shape[1:], rows.X.dtype)
