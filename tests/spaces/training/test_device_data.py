from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ray import cloudpickle

from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task
from spaces.training import device_data
from spaces.training.device_data import Feed
from tests.support.tensors import write_tensor_cache

X = np.arange(40, dtype=np.float16).reshape(20, 2)
ROWS = np.random.default_rng(0).integers(0, 20, size=(7, 4))


@pytest.mark.parametrize("resident_bytes", [0, 1000])
def test_each_step_gets_its_rows(resident_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_data, "_PIECE_BYTES", 3 * 4 * X[0].nbytes)
    pieces = list(Feed(X, resident_bytes=resident_bytes).pieces(ROWS))
    assert [steps.stop for *_, steps in pieces] == ([7] if resident_bytes else [3, 6, 7])
    for data, places, steps in pieces:
        assert data.dtype == np.float16
        assert np.array_equal(data.numpy()[places], X[ROWS[steps]])


def test_the_size_of_a_piece_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_data, "_PIECE_BYTES", 2 * 4 * X[0].nbytes)
    for data, *_ in Feed(X, resident_bytes=0).pieces(ROWS):
        assert len(data) <= 8


@pytest.mark.parametrize("resident_bytes", [0, 1000])
def test_no_steps_have_no_pieces(resident_bytes: int) -> None:
    assert list(Feed(X, resident_bytes=resident_bytes).pieces(ROWS[:0])) == []


def test_trials_of_a_process_share_one_copy(tmp_path: Path) -> None:
    rows = Cache.open(write_tensor_cache(tmp_path / "cache", tracks=5)).melspec
    split = make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0)
    task = search_task(rows, split)
    # Ray passes an equal copy to the next trial.
    copied = cloudpickle.loads(cloudpickle.dumps(task))
    (first, *_), (second, *_) = (next(Feed(inputs).pieces(ROWS)) for inputs in (task.X, copied.X))
    assert first is second
    other = next(Feed(X).pieces(ROWS))[0]
    assert other is not first
    assert len(device_data._resident_inputs) == 1
    device_data.release()
    assert not device_data._resident_inputs


@pytest.mark.parametrize("resident_bytes", [0, 79, 80])
def test_bytes_become_half_precision_on_a_gpu(resident_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = np.arange(216, 256, dtype=np.uint8).reshape(20, 2)
    feed = Feed(colours, resident_bytes=40)
    assert feed.resident
    assert next(feed.pieces(ROWS))[0].dtype == np.uint8
    device_data.release()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [f"{kind}:0"])
    feed = Feed(colours, resident_bytes=resident_bytes)
    # On a GPU they need twice the memory.
    assert feed.resident is (resident_bytes == 80)
    for data, places, steps in feed.pieces(ROWS):
        assert data.dtype == np.float16
        assert np.array_equal(data.numpy()[places], colours[ROWS[steps]])
    device_data.release()
