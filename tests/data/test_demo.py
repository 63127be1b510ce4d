import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data.cache.cache import Cache
from data.demo import ensure, main
from data.errors import CacheError
from data.io.folder import Folder
from data.io.lock import claimed
from data.synthesis.styles import STYLES
from tests.support.encoders import DIMENSION, RATE, write_onnx
from tests.support.waiting import running


def times(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One track of each style."""
    return ensure(str(tmp_path_factory.mktemp("demo") / "cache"), tracks=1, workers=1)


def test_the_cache_says_that_it_is_synthetic(demo):
    cache = Cache.open(demo)

    assert cache.info.source == "demo"
    assert cache.info.synthetic
    assert sorted(cache.features.label) == list(STYLES)
    assert cache.features.track_id[0] == "ambient/ambient.00000.flac"
    assert (cache.folder.local / "audio" / cache.features.track_id[0]).is_file()


def test_every_family_finds_what_it_reads(demo):
    cache = Cache.open(demo)

    assert cache.melspec.X.shape == (3 * len(STYLES), 64, 129)
    assert cache.image.X.shape == (len(STYLES), 150, 150, 3)


def test_a_rerun_makes_nothing(demo):
    before = times(Cache.open(demo).folder.local)

    assert ensure(demo, tracks=1) == demo
    assert times(Cache.open(demo).folder.local) == before


def test_the_seed_decides_the_features(demo, tmp_path):
    same = ensure(str(tmp_path / "same"), tracks=1, workers=1)
    other = ensure(str(tmp_path / "other"), seed=1, tracks=1, workers=1)

    expected = Cache.open(demo)
    assert Cache.open(same).info.fingerprint == expected.info.fingerprint
    assert Cache.open(same).features.X.tobytes() == expected.features.X.tobytes()
    assert not np.allclose(Cache.open(other).features.X, expected.features.X)


def test_an_interrupted_one_is_finished(demo, tmp_path, monkeypatch):
    from data.synthesis import tracks as synthesis

    def stop_at_metal(style, **rest):
        if style == "metal":
            raise KeyboardInterrupt
        return synthesise(style, **rest)

    synthesise = synthesis.synthesise
    monkeypatch.setattr(synthesis, "synthesise", stop_at_metal)
    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        ensure(str(cache), tracks=1, workers=1)
    monkeypatch.undo()
    made = times(cache / "audio")
    assert 0 < len(made) < len(STYLES)
    assert not (cache / "cache.json").exists()

    ensure(str(cache), tracks=1, workers=1)

    assert made.items() <= times(cache / "audio").items()
    assert Cache.open(cache).info.fingerprint == Cache.open(demo).info.fingerprint


def test_another_size_replaces_it(tmp_path):
    cache = str(tmp_path / "cache")
    ensure(cache, tracks=2, workers=1)
    ensure(cache, tracks=1, workers=1)

    assert len(Cache.open(cache).features.X) == len(STYLES)
    assert len(list((tmp_path / "cache" / "audio").rglob("*.flac"))) == len(STYLES)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "mine.wav").write_bytes(b"music")

    result = CliRunner().invoke(main, ["--cache", str(tmp_path)])

    assert result.exit_code == 2
    assert "holds something else" in result.stderr
    assert times(tmp_path).keys() == {tmp_path / "audio" / "mine.wav"}
    with pytest.raises(CacheError, match="something else"):
        ensure(str(tmp_path))


def test_the_command_makes_it_over_the_cores(tmp_path, demo, ray_cluster):
    result = CliRunner().invoke(main, ["--cache", str(tmp_path / "cache"), "--tracks", "1", "--workers", "2"])

    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in result.stdout
    assert Cache.open(tmp_path / "cache").features.X.tobytes() == Cache.open(demo).features.X.tobytes()
    assert json.loads((tmp_path / "cache" / "demo.json").read_text())["seed"] == 0


def test_embeddings_are_added_once_and_go_with_another_seed(demo, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(demo, cache)
    with pytest.raises(CacheError, match=rf"'python -m data\.demo --cache {cache} --embedding musicnn'"):
        Cache.open(cache).kind_of("embedding")
    encoder = write_onnx(tmp_path / "small.onnx", metadata={"sample_rate": str(RATE)})
    command = ["--cache", str(cache), "--tracks", "1", "--workers", "1", "--embedding", str(encoder)]

    added = CliRunner().invoke(main, command)
    before = times(cache)
    rerun = CliRunner().invoke(main, command)

    assert (added.exit_code, rerun.exit_code) == (0, 0), added.output + rerun.output
    assert "Adding vectors of small" in added.stderr
    assert times(cache) == before
    assert rerun.stderr == ""
    opened = Cache.open(cache)
    assert opened.info.synthetic
    assert opened.kind_of("embedding") == "features+embedding-small"
    assert opened.rows("embedding-small").X.shape == (len(STYLES), 2 * DIMENSION)
    assert opened.features.X.tobytes() == Cache.open(demo).features.X.tobytes()

    ensure(str(cache), seed=1, tracks=1, workers=1)

    assert not (cache / "encoders").exists()
    assert not (cache / "embedding-small").exists()


def test_a_second_process_waits_and_finds_it_made(tmp_path):
    cache = tmp_path / "cache"
    code = f"from data.demo import ensure; ensure({str(cache)!r}, tracks=1, workers=1)"
    with ExitStack() as processes:
        with claimed(Folder.at(cache)):
            second = processes.enter_context(
                running([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
            )
            assert second.stderr is not None
            assert "Another process is preparing" in second.stderr.readline()
            # Meanwhile the first makes all of it.
            (tmp_path / "made").mkdir()
            made = ensure(str(tmp_path / "made" / "cache"), tracks=1, workers=1)
            for path in Path(made).iterdir():
                path.rename(cache / path.name)
            before = times(cache)
            assert second.poll() is None
        assert second.communicate(timeout=240)[1] == ""
    assert second.returncode == 0
    assert times(cache) == before
