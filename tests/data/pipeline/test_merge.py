"""Replacing the files of a cache: interruptions are detected, and the next run finishes the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect
from data.cache.cache import Cache
from data.cache.format import FINGERPRINT
from data.errors import CacheError
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import assert_same, prepared, run


@pytest.mark.parametrize("options", [(), ("--melspec", "--window-seconds", "0.5")])
@pytest.mark.parametrize(("replaced", "again"), [(0, 0), (1, 4), (2, 0)])
def test_an_interrupted_replacement_is_detected_and_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], replaced: int, again: int
) -> None:
    audio, cache, whole = make_collection(tmp_path / "audio"), tmp_path / "cache", tmp_path / "whole"
    prepared(audio, cache)
    before = Cache.open(cache).features
    soundfile.write(audio / "genre0" / "genre0.00000.wav", clip(77), SR)
    (audio / "genre1" / "genre1.00002.wav").unlink()
    prepared(audio, whole, *options)
    done: list[str] = []

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    class Interrupted(pyarrow.fs.LocalFileSystem):
        """A file system that is interrupted after a number of replaced tables."""

        def move(self, source: str, destination: str) -> None:
            if Path(destination).parent == cache:
                if len(done) == replaced:
                    interrupt()
                done.append(destination)
            super().move(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(pyarrow.fs, "LocalFileSystem", Interrupted)
        if replaced == 2:
            patch.setattr("data.pipeline.merge.write_info", interrupt)
        assert run("--audio", audio, "--cache", cache, *options).exit_code == 1
    assert len(done) == replaced
    if replaced:
        with pytest.raises(CacheError, match="was interrupted; run the same 'python -m"):
            _ = Cache.open(cache).features
        shown = CliRunner().invoke(inspect.main, ["--cache", str(cache)])
        assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    else:
        np.testing.assert_array_equal(Cache.open(cache).features.X, before.X)
    # Killed between the two tables: only newly analysed rows differ from the old ones.
    assert f"{again} of 5 files analysed" in prepared(audio, cache, *options).output
    assert_same(cache, whole)
    if options:
        assert Cache.open(cache).melspec.track_id.tolist() == Cache.open(whole).melspec.track_id.tolist()


def test_tables_of_an_older_version_have_no_fingerprint(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache, "--melspec", "--window-seconds", "0.5")
    info = Cache.open(cache).info
    for name in ("features", "manifest"):
        path = cache / f"{name}.parquet"
        assert pq.read_metadata(path).metadata[FINGERPRINT] == info.fingerprint.encode()
        pq.write_table(pq.read_table(path), path)
        assert FINGERPRINT not in pq.read_metadata(path).metadata
    old = Cache.open(cache)
    assert (len(old.features.X), len(old.melspec.X)) == (6, 18)
    assert "0 of 6 files analysed" in prepared(audio, cache).output


def test_lost_tables_are_written_again(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache)
    (cache / "features.parquet").unlink()
    assert "6 of 6 files analysed" in prepared(audio, cache).output
    assert len(Cache.open(cache).features.X) == 6
