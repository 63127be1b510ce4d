from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pyarrow.fs
import pytest
from click.testing import CliRunner

from data import inspect, prepare
from data.cache.cache import Cache
from data.cache.shards import TrackTensors, read_shard, write_shard
from data.errors import CacheError
from data.io.folder import Folder
from tests.support.collection import make_collection

pytestmark = pytest.mark.slow


def test_a_cache_in_a_bucket_equals_a_local_one(tmp_path: Path, bucket: str) -> None:
    audio = make_collection(tmp_path / "audio")
    for cache, analysed in ((f"{bucket}/one", 6), (f"{bucket}/one", 0), (str(tmp_path / "local"), 6)):
        result = CliRunner().invoke(prepare.main, ["--audio", str(audio), "--cache", cache])
        assert result.exit_code == 0, result.output
        assert f"{analysed} of 6 files analysed" in result.output
    remote, local = Cache.open(f"{bucket}/one"), Cache.open(tmp_path / "local")
    assert remote.info.fingerprint == local.info.fingerprint
    np.testing.assert_array_equal(remote.features.X, local.features.X)
    assert Folder.at(f"{bucket}/one").names() == ["cache.json", "features.parquet", "manifest.parquet"]
    shown = CliRunner().invoke(inspect.main, ["--cache", f"{bucket}/one"])
    assert shown.exit_code == 0


def test_no_cache_in_the_bucket(bucket: str) -> None:
    with pytest.raises(CacheError, match="no cache here"):
        Cache.open(f"{bucket}/nothing")


def test_an_error_while_writing_leaves_no_object(bucket: str) -> None:
    folder = Folder.at(f"{bucket}/torn")

    def write_half() -> None:
        with folder.writing("file") as stream:
            stream.write(b"half")
            raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        write_half()
    assert not folder.exists("file")


def listed(folder: Folder) -> list[pyarrow.fs.FileInfo]:
    entries: list[pyarrow.fs.FileInfo] = folder.filesystem.get_file_info(pyarrow.fs.FileSelector(folder.path))
    return entries


def test_an_interrupted_upload_keeps_the_old_object(bucket: str) -> None:
    folder = Folder.at(f"{bucket}/kept")
    folder.write("file", b"old")

    def write_half() -> None:
        with folder.writing("file") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert folder.read("file") == b"old"
    assert [info.base_name for info in listed(folder)] == ["file"]


def test_unfinished_objects_of_a_killed_upload_are_deleted(bucket: str) -> None:
    folder = Folder.at(f"{bucket}/left")
    for name in ("file", ".tmp-0123-file"):
        folder.write(name, b"half")
    assert folder.names() == ["file"]
    folder.remove_unfinished()
    assert [info.base_name for info in listed(folder)] == ["file"]


def test_a_shard_in_an_unreachable_bucket_is_not_reported_as_damaged(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder.at(f"{bucket}/shards")
    write_shard(folder, "a", [TrackTensors("a", "genre", np.zeros((1, 2), dtype=np.float16))])
    assert len(read_shard(folder, "a.parquet", ["track_id"])) == 1
    # Bound but not listening, so that no other process can use the port.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        away = Folder.at(f"{bucket}/shards")
        with pytest.raises(CacheError, match="s3://music: no answer"):
            read_shard(away, "a.parquet", None)
    with pytest.raises(CacheError, match=r"shards/b\.parquet: missing or damaged"):
        read_shard(folder, "b.parquet", None)
