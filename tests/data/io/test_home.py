from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import librosa
import pytest

from data.errors import SettingsError
from data.io import home
from tests.support.collection import make_collection
from tests.support.mounts import read_only, run_with_mounts

NO_HOME = {"HOME": "/nonexistent", "NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": ""}


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NO_HOME.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_numba_uses_the_scratch_folder_without_a_home(no_home: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_home.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    assert not home.home_is_writable()
    home.use_scratch_for_home()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "scratch" / "numba")


def test_a_home_that_can_be_written_is_left_alone(no_home: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_home.setenv("HOME", str(tmp_path))
    home.use_scratch_for_home()
    assert os.environ["NUMBA_CACHE_DIR"] == ""


def test_no_folder_at_all_is_one_line(no_home: pytest.MonkeyPatch) -> None:
    no_home.setenv("GENRE_SEARCH_SCRATCH", "/proc/nowhere")
    with pytest.raises(SettingsError, match=r"HOME /nonexistent: cannot be written, .*GENRE_SEARCH_SCRATCH"):
        home.use_scratch_for_home()
    program = [sys.executable, "-m", "data.inspect", "--cache", "x"]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: HOME /nonexistent: cannot be written")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_audio_is_analysed_where_neither_home_nor_the_packages_can_be_written(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    command = [
        sys.executable,
        "-m",
        "data.prepare",
        "--audio",
        str(audio),
        "--cache",
        str(tmp_path / "cache"),
    ]
    mounts = [*read_only(Path(librosa.__file__).parent), *read_only(audio)]
    result = run_with_mounts(mounts, command, NO_HOME | {"GENRE_SEARCH_SCRATCH": str(tmp_path / "scratch")})
    assert result.returncode == 0, result.stderr
    assert "2 tracks of 2 genres" in result.stdout
    assert any((tmp_path / "scratch" / "numba").iterdir())
