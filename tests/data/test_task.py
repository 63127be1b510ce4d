from __future__ import annotations

import numpy as np

from data.splits import make_split
from data.task import locked_task, refit_task, search_task
from tests.conftest import GENRES, make_rows


def test_the_locked_test_is_not_in_a_search() -> None:
    rows = make_rows(tracks=10, segments=3)
    split = make_split(rows.tracks(), folds=4, test_fraction=0.2, seed=0)
    task, locked = search_task(rows, split), locked_task(rows, split)
    assert set(locked.track_id) == set(split.track_id[split.test])
    assert not set(task.track_id) & set(locked.track_id)
    assert len(task.X) + len(locked.X) == len(rows.X)
    assert task.classes == locked.classes == tuple(sorted(GENRES))


def test_rows_keep_their_labels_and_tracks() -> None:
    rows = make_rows(tracks=10, segments=3)
    split = make_split(rows.tracks(), folds=4, test_fraction=0.2, seed=0)
    task = search_task(rows, split)
    for x, y, track in zip(task.X, task.y, task.track, strict=True):
        original = int(np.flatnonzero((x == rows.X).all(axis=1))[0])
        assert rows.label[original] == task.classes[y]
        assert rows.track_id[original] == task.track_id[track]
    assert [task.classes[y] for y in task.track_label] == [name.split("/")[0] for name in task.track_id]


def test_folds_divide_the_rows_by_track() -> None:
    rows = make_rows(tracks=10, segments=3)
    task = search_task(rows, make_split(rows.tracks(), folds=4, test_fraction=0.2, seed=0))
    assert len(task.folds) == 4
    for fold in task.folds:
        assert not set(task.track[fold.train]) & set(task.track[fold.valid])
        assert len(fold.train) + len(fold.valid) == len(task.X)
    assert np.array_equal(task.validated, np.arange(len(task.track_id)))


def test_refit_trains_on_all_but_the_test() -> None:
    rows = make_rows(tracks=10)
    split = make_split(rows.tracks(), folds=1, test_fraction=0.2, seed=0)
    task = refit_task(rows, split)
    assert set(task.track_id) == set(split.track_id[split.searchable])
    assert len(task.folds[0].train) == len(task.X)
    assert len(task.folds[0].valid) == 0
