from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from data import inspect
from data.inspection.page import _histogram
from tests.support.axe import violations
from tests.support.browser import chromium, watched
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import prepared


def inspected(*options: object) -> Result:
    return CliRunner().invoke(inspect.main, [str(option) for option in options])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with faults, and its page."""
    folder = tmp_path_factory.mktemp("faults")
    audio, cache = make_collection(folder / "audio", tracks=2, seconds=2), folder / "cache"
    shutil.copy(audio / "genre0" / "genre0.00000.wav", audio / "genre1" / "<b>copy.wav")
    soundfile.write(audio / "genre1" / "long.wav", clip(5, 13), SR)
    soundfile.write(audio / "genre1" / "silent.wav", np.zeros(SR), SR)
    (audio / "genre1" / "empty.wav").touch()
    labels = folder / "labels.csv"
    names = sorted(path.relative_to(audio).as_posix() for path in audio.glob("*/*.wav"))
    rows = [f"{name},{name[:6]},{side}\n" for name, side in zip(names, ["train", "test"] * 4, strict=False)]
    labels.write_text("file,label,split\n" + "".join(rows))
    prepared(audio, cache, "--labels", labels)
    (audio / "genre1" / "genre1.00001.wav").unlink()

    result = inspected("--cache", cache, "--html", folder / "page.html")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(f"Wrote {folder / 'page.html'} (")
    return folder


def test_bins_are_named_with_equal_decimals() -> None:
    bars = _histogram([100_000, 110_000, 130_000], 1e6)
    assert [bar.name for bar in bars] == ["0.100 to 0.110", "0.110 to 0.120", "0.120 to 0.130"]
    assert [bar.value for bar in bars] == ["1", "1", "1"]
    assert [bar.name for bar in _histogram([1e-9, 90, 300], 1)] == ["0 to 100", "100 to 200", "200 to 300"]


def test_the_page_holds_tables_players_and_suspicious_clips(folder: Path) -> None:
    page = (folder / "page.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<b>copy" not in page
    assert "&lt;b&gt;copy.wav" in page
    for text in (
        "Tracks per genre",
        "Exact duplicates: 1",
        "Silent: 1",
        "Contradicting labels",
        "<td>empty file",
    ):
        assert text in page
    assert "genre1.00001.wav: cannot be opened (No such file or directory)" in page
    sounds = [
        soundfile.read(io.BytesIO(base64.b64decode(sound)))
        for sound in re.findall(r"data:audio/mpeg;base64,([^\"]+)", page)
    ]
    lengths = sorted({round(len(y) / rate) for y, rate in sounds})
    # Of the long track the middle ten seconds.
    assert lengths == [1, 2, 10]
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == len(sounds)
    assert base64.b64decode(pictures[0]).startswith(b"\x89PNG")

    table = re.sub(r"[\s│]+", " ", inspected("--cache", folder / "cache").output)
    for text in (
        "partition",
        "test 3, train 4",
        ".wav 7",
        "MB in all",
        "of 6 files that",
        "none named: tracks of",
    ):
        assert text in table


@pytest.mark.slow
def test_the_page_is_accessible(folder: Path) -> None:
    with chromium() as browser:
        page = browser.new_page(offline=True)
        errors = watched(page)
        page.goto((folder / "page.html").as_uri(), timeout=120_000)
        assert violations(page) == []
        assert errors == []


def test_a_page_without_a_cache_or_a_folder(tmp_path: Path) -> None:
    result = inspected("--html", tmp_path / "page.html")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "needs --cache" in result.stderr
    prepared(make_collection(tmp_path / "audio", tracks=1), tmp_path / "cache")
    (tmp_path / "file").touch()
    result = inspected("--cache", tmp_path / "cache", "--html", tmp_path / "file" / "page.html")
    assert result.exit_code == 2
    assert "page.html: cannot be written" in result.stderr
