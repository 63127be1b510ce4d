"""Tensors of a cache as an array that processes share, mapped from shards or from the scratch folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.cache.cache import Cache
from data.cache.format import FINGERPRINT
from data.cache.memory_map import MappedTensors, map_column
from data.cache.shards import TrackTensors, write_shard
from data.cache.tensor_reader import read_tables, read_tensors
from data.errors import CacheError
from data.io.folder import Folder
from data.io.scratch import making, used
from tests.support.paths import ROOT

_SHAPE = (5, 7)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def tensors() -> np.ndarray:
    """Tensors of 200 windows: 100 tracks with two windows each."""
    return np.random.default_rng(0).normal(size=(200, *_SHAPE)).astype(np.float16)


@pytest.fixture
def folder(tmp_path: Path, tensors: np.ndarray) -> Folder:
    """A cache of `tensors` in three unsorted shards, one of them with an outdated track."""
    folder = Folder.at(tmp_path / "cache")
    order = np.random.default_rng(1).permutation(100)
    shards = {"a": order[:40].tolist(), "b": order[40:47].tolist(), "c": order[47:].tolist()}
    for name, tracks in shards.items():
        shard = [TrackTensors(f"{n:03d}", "genre", tensors[2 * n : 2 * n + 2]) for n in tracks]
        if name == "c":
            shard.insert(5, TrackTensors(f"{shards['a'][0]:03d}", "genre", np.zeros((2, *_SHAPE), "f2")))
        write_shard(folder / "melspec", name, shard)
    part_of_track = {track: name for name, tracks in shards.items() for track in tracks}
    names = [f"{track:03d}" for track in sorted(part_of_track)]
    manifest = {
        "track_id": names,
        "group": names,
        "part": [part_of_track[track] for track in sorted(part_of_track)],
        "status": ["ok"] * len(names),
    }
    folder.write_table("manifest.parquet", pa.table(manifest))
    return folder


SELECTIONS: dict[str, Callable[[np.ndarray | MappedTensors], np.ndarray]] = {
    "all": lambda X: X[:],
    "one": lambda X: X[17],
    "last": lambda X: X[-1],
    "slice": lambda X: X[90:170:3],
    "backwards": lambda X: X[::-1],
    "none": lambda X: X[np.empty(0, dtype=np.int64)],
    "sorted": lambda X: X[np.arange(3, 150)],
    "unsorted": lambda X: X[np.random.default_rng(2).integers(0, 200, size=300)],
    "list": lambda X: X[[5, 5, -2]],
    "mask": lambda X: X[np.arange(200) % 3 == 0],
    "tuple": lambda X: X[10:20, 2, 1:],
    "number in tuple": lambda X: X[7, 2:4],
    "array": np.asarray,
    "converted": lambda X: np.asarray(X, dtype=np.float32),
    "iterated": lambda X: np.stack(list(X)),
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_tensors_are_indexed_like_an_array(folder: Folder, tensors: np.ndarray, selection: str) -> None:
    X = read_tensors(folder, "melspec", "0" * 64).X
    assert isinstance(X, MappedTensors)
    actual, expected = SELECTIONS[selection](X), SELECTIONS[selection](tensors)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


def test_tensors_have_the_attributes_of_an_array(folder: Folder, tensors: np.ndarray) -> None:
    rows = read_tensors(folder, "melspec", "0" * 64)
    X = rows.X
    assert (X.shape, X.dtype, X.ndim, X.size, X.nbytes, len(X)) == (
        tensors.shape,
        tensors.dtype,
        3,
        tensors.size,
        tensors.nbytes,
        200,
    )
    assert rows.track_id.tolist() == [f"{n:03d}" for n in range(100) for _ in range(2)]
    assert rows.segment.tolist() == [0, 1] * 100
    with pytest.raises(IndexError):
        X[200]
    with pytest.raises(ValueError, match="without a copy"):
        np.array(X, copy=False)


def test_local_shards_are_mapped_read_only_without_scratch_files(
    folder: Folder, tensors: np.ndarray, scratch: Path
) -> None:
    X = read_tensors(folder, "melspec", "0" * 64).X
    assert isinstance(X, MappedTensors)
    assert not any(piece.flags.writeable for piece in X.pieces)
    maps = Path("/proc/self/maps").read_text()
    assert all(f"{folder.path}/melspec/{name}.parquet" in maps for name in "abc")
    X[3][:] = 0
    np.testing.assert_array_equal(X[3], tensors[3])
    assert not scratch.exists()


def test_deleted_shards_stay_mapped(folder: Folder, tensors: np.ndarray) -> None:
    X = read_tensors(folder, "melspec", "0" * 64).X
    for name in "abc":
        (folder.local / "melspec" / f"{name}.parquet").unlink()
    np.testing.assert_array_equal(X[:], tensors)


def test_more_shards_than_the_limit_of_open_files(tmp_path: Path) -> None:
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from data.io.folder import Folder
from data.cache.tensor_reader import read_tensors
print(read_tensors(Folder.at(sys.argv[1]), "melspec", "0" * 64).X[:].sum())
"""
    folder = Folder.at(tmp_path / "cache")
    for number in range(60):
        tensors = [TrackTensors(f"{number:03d}", "genre", np.ones((1, 2), dtype=np.float16))]
        write_shard(folder / "melspec", f"{number:03d}", tensors)
    names = [f"{number:03d}" for number in range(60)]
    columns = {"track_id": names, "group": names, "part": names, "status": ["ok"] * len(names)}
    folder.write_table("manifest.parquet", pa.table(columns))
    command = [sys.executable, "-c", code, folder.path]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(shown.stdout) == 120


@pytest.mark.parametrize(
    "layout", [{"compression": "zstd"}, {"data_page_size": 500}, {"use_dictionary": True}]
)
def test_a_column_in_another_layout_is_copied_to_scratch(
    tmp_path: Path, folder: Folder, tensors: np.ndarray, scratch: Path, layout: dict[str, object]
) -> None:
    path = folder.local / "melspec" / "b.parquet"
    plain = {"compression": "none", "use_dictionary": False, "write_batch_size": 2}
    pq.write_table(pq.read_table(path), path, **(plain | layout))
    assert map_column(str(path), pq.read_metadata(path), "tensor") is None
    X = read_tensors(folder, "melspec", "0" * 64).X
    np.testing.assert_array_equal(X, tensors)
    assert isinstance(X, np.memmap)
    assert not X.flags.writeable
    (array,) = scratch.glob("[!.]*.npy")
    before = array.stat().st_ino
    read_tensors(folder, "melspec", "0" * 64)
    assert array.stat().st_ino == before


def test_a_full_scratch_disk_is_reported(folder: Folder, scratch: Path) -> None:
    path = folder.local / "melspec" / "b.parquet"
    pq.write_table(pq.read_table(path), path, compression="zstd")
    # In a new process, because a failing write to a mapped file would kill it with a signal.
    code = (
        "import sys; from data.io.folder import Folder; from data.cache.tensor_reader import read_tensors;"
        "read_tensors(Folder.at(sys.argv[1]), 'melspec', '0' * 64)"
    )
    with small_disk(scratch, "8k"):
        result = subprocess.run(
            [sys.executable, "-c", code, folder.path], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1, result.stderr
        assert "CacheError" in result.stderr
        assert "cannot be written (No space left on device); free space there" in result.stderr
        assert not list(scratch.glob(".tmp-*"))


def test_a_missing_shard_is_named(folder: Folder) -> None:
    (folder.local / "melspec" / "b.parquet").unlink()
    for read in (read_tensors, lambda *arguments: list(read_tables(*arguments))):
        with pytest.raises(CacheError, match=r"melspec/b\.parquet: missing; copy it again"):
            read(folder, "melspec", "0" * 64)


def test_a_shard_of_skipped_tracks_only_can_be_missing(folder: Folder) -> None:
    manifest = folder.read_table("manifest.parquet").to_pylist()
    skipped = {"track_id": "zzz", "group": "zzz", "part": "none", "status": "skipped"}
    folder.write_table("manifest.parquet", pa.Table.from_pylist([*manifest, skipped]))
    assert len(read_tensors(folder, "melspec", "0" * 64).X) == 200


def test_interrupted_tensors_are_reported(folder: Folder) -> None:
    for name in "abc":
        path = folder.local / "melspec" / f"{name}.parquet"
        path.rename(path.with_name(f"{name}-later.parquet"))
    with pytest.raises(CacheError, match="making its melspec tensors was interrupted; run the same"):
        read_tensors(folder, "melspec", "0" * 64)


def test_a_manifest_of_another_preparation_is_refused(folder: Folder) -> None:
    table = folder.read_table("manifest.parquet").replace_schema_metadata({FINGERPRINT: "1" * 64})
    folder.write_table("manifest.parquet", table)
    assert len(read_tensors(folder, "melspec", "1" * 64).X) == 200
    with pytest.raises(CacheError, match="preparing this cache was interrupted; run the same"):
        read_tensors(folder, "melspec", "0" * 64)


def test_arrow_tables_contain_fixed_shape_tensors(folder: Folder, tensors: np.ndarray) -> None:
    tensor_of_key = {}
    for table in read_tables(folder, "melspec", "0" * 64):
        tensor = table["tensor"]
        assert tensor.type == pa.fixed_shape_tensor(pa.float16(), _SHAPE)
        values = tensor.combine_chunks().to_numpy_ndarray()
        keys = zip(table["track_id"].to_pylist(), table["segment"].to_pylist(), strict=True)
        tensor_of_key |= dict(zip(keys, values, strict=True))
    np.testing.assert_array_equal(np.stack([tensor_of_key[key] for key in sorted(tensor_of_key)]), tensors)


def test_a_cache_yields_its_tables(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from data import prepare
    from tests.support.collection import make_collection

    audio = make_collection(tmp_path / "audio", tracks=1)
    command = ["--audio", str(audio), "--cache", str(tmp_path / "c"), "--image", "--image-size", "16"]
    assert CliRunner().invoke(prepare.main, command).exit_code == 0
    (table,) = Cache.open(tmp_path / "c").tables("image")
    assert table["tensor"].type == pa.fixed_shape_tensor(pa.uint8(), (16, 16, 3))


def make(path: Path, content: bytes = b"x", nbytes: int = 0) -> None:
    with making(path, nbytes) as temporary:
        if temporary is not None:
            temporary.write_bytes(content)


def test_files_unused_for_a_week_are_deleted(scratch: Path) -> None:
    for name in ("old.npy", "used.npy"):
        make(scratch / name)
    (scratch / "mine.npy").write_bytes(b"of another program")
    long_ago = time.time() - 8 * 86400
    for path in scratch.glob("[!.]*.npy"):
        os.utime(path, (long_ago, long_ago))
    used(scratch / "used.npy")
    make(scratch / "new.npy")
    assert sorted(path.name for path in scratch.glob("[!.]*.npy")) == ["mine.npy", "new.npy", "used.npy"]


def test_unfinished_files_of_killed_processes_are_deleted(scratch: Path) -> None:
    make(scratch / "whole.npy")
    (scratch / ".tmp-whole.npy").write_bytes(b"half")
    with making(scratch / "other.npy") as temporary:
        assert temporary is not None
        temporary.write_bytes(b"y")
        make(scratch / "third.npy")
        assert temporary.exists()
    assert (scratch / "other.npy").read_bytes() == b"y"
    assert not list(scratch.glob(".tmp-*"))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of this size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_the_least_recently_used_files_are_deleted_first(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(scratch, "4m"):
        now = time.time()
        for age, name in ((30, "b"), (20, "a"), (10, "c")):
            make(scratch / name, bytes(1 << 20), 1 << 20)
            os.utime(scratch / name, (now - age, now - age))
        used(scratch / "b")
        make(scratch / "d", bytes(2 << 20), 2 << 20)
        assert sorted(path.name for path in scratch.glob("?")) == ["b", "c", "d"]
