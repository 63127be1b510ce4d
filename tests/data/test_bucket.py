from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data import inspect, prepare
from data.cache import Cache
from data.errors import CacheError
from data.files import Folder
from tests.data.collection import make_collection


def test_a_cache_in_a_bucket_is_made_rerun_and_read_as_a_local_one(tmp_path: Path, bucket: str) -> None:
    audio = make_collection(tmp_path / "audio")
    for cache, analysed in ((f"{bucket}/one", 6), (f"{bucket}/one", 0), (str(tmp_path / "local"), 6)):
        result = CliRunner().invoke(prepare.main, ["--audio", str(audio), "--cache", cache])
        assert result.exit_code == 0, result.output
        assert f"{analysed} of 6 files analysed" in result.output
    there, here = Cache.open(f"{bucket}/one"), Cache.open(tmp_path / "local")
    assert there.info.fingerprint == here.info.fingerprint
    np.testing.assert_array_equal(there.features.X, here.features.X)
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
