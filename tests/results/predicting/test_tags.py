from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data.audio.decode import load
from data.errors import OutputError
from results.predicting.tags import TagTable, read_genre_tag, write_genre_tag


def song(path: Path) -> Path:
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=22050), 22050)
    return path


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "wav"])
def test_a_tag_is_written_and_replaced_and_the_audio_stays(tmp_path: Path, suffix: str) -> None:
    path = song(tmp_path / f"a.{suffix}")
    before = load(path).sha256
    assert read_genre_tag(path) == ""
    for genre in ("jazz", "blues"):
        write_genre_tag(path, genre)
        assert read_genre_tag(path) == genre
    assert load(path).sha256 == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_format_without_tags_is_one_line(tmp_path: Path) -> None:
    path = song(tmp_path / "a.au")
    content = path.read_bytes()
    with pytest.raises(OutputError, match=r"a\.au: this format has no tags; use --write-tags csv"):
        write_genre_tag(path, "jazz")
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["a.au"]


def test_a_table_lists_present_and_predicted_tags(tmp_path: Path) -> None:
    path = song(tmp_path / "a.mp3")
    write_genre_tag(path, "jazz")
    with TagTable(tmp_path) as table:
        table.add(str(path), "blues", 0.75)
        assert not table.path.exists()
    (row,) = csv.DictReader(table.path.open(encoding="utf-8"))
    assert row == {
        "file": str(path),
        "genre_tag": "jazz",
        "predicted_genre": "blues",
        "confidence": "0.7500",
    }
    assert read_genre_tag(path) == "jazz"
    with pytest.raises(OutputError, match="exists already and is not replaced; move it away"):
        TagTable(tmp_path)


def test_no_table_is_written_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), TagTable(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
