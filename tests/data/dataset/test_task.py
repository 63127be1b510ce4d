from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ray import cloudpickle

from data.cache.cache import Cache
from data.cache.rows import Rows
from data.cache.shards import TrackTensors, write_shard
from data.dataset.splits import make_split
from data.dataset.task import TensorRows, locked_task, missing_inputs, refit_task, search_task
from data.errors import CacheError
from tests.support.rows import GENRES, make_rows
from tests.support.tensors import write_tensor_cache


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


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tensor_cache(tmp_path_factory.mktemp("tensors") / "cache", tracks=20, windows=3)


def test_tensors_travel_as_row_numbers(tensors: Path) -> None:
    rows = Cache.open(tensors).melspec
    split = make_split(rows.tracks(), folds=2, test_fraction=0.2, seed=0)
    task = search_task(rows, split)
    assert isinstance(task.X, TensorRows)
    stream = io.BytesIO()
    cloudpickle.dump(task, stream)
    assert stream.tell() < task.X.nbytes / 4
    again = cloudpickle.loads(stream.getvalue())
    assert again.X.shape == task.X.shape == (len(task.y), *rows.X.shape[1:])
    chosen = np.array([5, 0, 7])
    for row, x in zip(chosen, again.X[chosen], strict=True):
        same = rows.track_id == task.track_id[task.track[row]]
        assert (x == rows.X[np.flatnonzero(same)]).all(axis=(1, 2)).any()
        assert task.classes[task.y[row]] == task.track_id[task.track[row]].split("/")[0]


def test_the_locked_test_is_not_among_the_tensors(tensors: Path) -> None:
    rows = Cache.open(tensors).melspec
    split = make_split(rows.tracks(), folds=2, test_fraction=0.2, seed=0)
    seen, locked = search_task(rows, split).X, locked_task(rows, split).X
    assert isinstance(seen, TensorRows)
    assert isinstance(locked, TensorRows)
    assert not set(seen.rows) & set(locked.rows)
    assert len(seen) + len(locked) == len(rows.X)


def test_a_cache_that_was_replaced_is_refused(tmp_path: Path) -> None:
    cache = write_tensor_cache(tmp_path / "cache", tracks=5)
    rows = Cache.open(cache).melspec
    task = refit_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0))
    content = json.loads((cache / "cache.json").read_text())
    (cache / "cache.json").write_text(json.dumps(content | {"fingerprint": "1" * 64}))
    with pytest.raises(CacheError, match="its data changed after the search started"):
        task.X[np.array([0])]


def test_tensors_of_unequal_shape_are_refused(tmp_path: Path) -> None:
    cache = Cache.open(write_tensor_cache(tmp_path / "cache", tracks=5))
    manifest = cache.folder.read_table("manifest.parquet").to_pylist()
    moved = manifest[-1] | {"part": "zz"}
    other = TrackTensors(moved["track_id"], "metal", np.zeros((1, 4, 4), dtype=np.float16))
    write_shard(cache.folder / "melspec", "zz", [other])
    cache.folder.write_table("manifest.parquet", pa.Table.from_pylist([*manifest[:-1], moved]))
    with pytest.raises(CacheError, match=r"zz.parquet: tensors of shape \(4, 4\).*same options"):
        _ = cache.melspec


def test_a_track_without_an_input_is_left_out_and_named() -> None:
    rows = make_rows(tracks=10)
    split = make_split(rows.tracks(), folds=4, test_fraction=0.2, seed=0)
    absent = split.track_id[split.fold == 1][0]
    keep = rows.track_id != absent
    fewer = Rows(rows.X[keep], rows.track_id[keep], rows.segment[keep], rows.label[keep], rows.group[keep])
    task, whole = search_task(fewer, split), search_task(rows, split)
    assert missing_inputs(fewer, split) == [absent]
    assert missing_inputs(rows, split) == []
    assert set(whole.track_id) - set(task.track_id) == {absent}
    assert task.classes == whole.classes
    for mine, all_of_them in zip(task.folds, whole.folds, strict=True):
        assert set(task.track_id[task.track[mine.valid]]) == set(
            whole.track_id[whole.track[all_of_them.valid]]
        ) - {absent}


def test_genres_are_weighted_by_the_training_rows_of_a_fold() -> None:
    rows = make_rows()
    task = search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.2, seed=0))
    fold = task.folds[0]
    assert task.loss_weights(fold) is None
    weights = replace(task, class_weight="balanced").loss_weights(fold)
    assert weights is not None
    assert weights[task.y[fold.train]].mean() == pytest.approx(1.0, rel=1e-6)
