"""Real commands with Ray workers, whose process group is killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data import inspect
from data.cache.cache import Cache
from data.demo import ensure
from tests.support.collection import make_collection
from tests.support.preparing import assert_same, prepared
from tests.support.waiting import running, wait_until

pytestmark = pytest.mark.slow

_RNG = random.Random(0)


def killed(command: list[str], has_started: Callable[[], bool], within: float = 0.04) -> None:
    """Start a command, wait for `has_started`, then kill all its processes after up to `within` seconds.

    The command must need more than `within` seconds for the remaining work on any machine.
    """
    with running(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(has_started, what="the work started", alive=process, every=0.002)
        time.sleep(_RNG.uniform(0, within))
        assert process.poll() is None, "the command ended before it was killed"
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def kill_at_parts(command: list[str], cache: Path, parts: list[int]) -> None:
    """Start a preparation repeatedly, kill it at each number of parts, and inspect the unfinished cache."""

    def written() -> int:
        return len(list(cache.glob("parts/*/[0-9]*.parquet")))

    for count in parts:
        killed(command, lambda minimum=count: written() >= minimum)
        shown = CliRunner().invoke(inspect.main, ["--cache", str(cache)])
        assert shown.exit_code == 2
        assert "preparing this cache was interrupted" in shown.stderr


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".tmp-*"))


def test_a_preparation_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=20), tmp_path / "cache"
    prepared(audio, tmp_path / "whole", "--workers", "1")
    command = [sys.executable, "-m", "data.prepare", "--audio", str(audio), "--cache", str(cache)]
    kill_at_parts([*command, "--workers", "1"], cache, sorted(_RNG.sample(range(1, 7), 3)))
    prepared(audio, cache, "--workers", "1")
    assert_same(cache, tmp_path / "whole")
    assert sorted(path.name for path in cache.iterdir()) == [
        "cache.json",
        "features.parquet",
        "manifest.parquet",
    ]


def test_a_preparation_by_workers_is_finished_after_any_kill(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=40, seconds=2), tmp_path / "cache"
    options = ["--melspec", "--window-seconds", "1"]

    command = [sys.executable, "-m", "data.prepare", "--audio", str(audio), "--cache", str(cache)]
    command += ["--workers", "2", *options]
    prepared(audio, tmp_path / "whole", "--workers", "1", *options)
    kill_at_parts(command, cache, sorted(_RNG.sample(range(1, 12), 2)))
    # Unfinished files of a killed writer.
    for name in ("", "melspec/"):
        (cache / f"{name}.tmp-0123-half.parquet").write_bytes(b"half")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "80 of 80 files analysed" not in again.stdout.replace("\n", " ")
    assert_same(cache, tmp_path / "whole")
    resumed, expected = Cache.open(cache).melspec, Cache.open(tmp_path / "whole").melspec
    assert resumed.track_id.tolist() == expected.track_id.tolist()
    np.testing.assert_allclose(resumed.X[:], expected.X[:], atol=0.07)
    assert not leftovers(cache)
    assert sorted(p.name for p in cache.iterdir()) == [
        "cache.json",
        "features.parquet",
        "manifest.parquet",
        "melspec",
    ]


def test_a_demo_data_set_by_workers_is_finished_after_a_kill(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "data.demo", "--cache", str(cache), "--tracks", "1", "--workers", "2"]
    killed(command, lambda: any(cache.glob("audio/*/*.flac")), 0.2)
    folder = next((cache / "audio").iterdir())
    (folder / ".tmp-0123-half.flac").write_bytes(b"half")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    whole = ensure(str(tmp_path / "whole"), tracks=1, workers=1)
    assert not leftovers(cache)
    assert Cache.open(cache).info.fingerprint == Cache.open(whole).info.fingerprint
    assert Cache.open(cache).features.X.tobytes() == Cache.open(whole).features.X.tobytes()
