from __future__ import annotations

from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.id3 import TALB, TCON, TPE1, TPE2

from data.collection.collect import Layout, collect
from data.collection.source_file import SourceFile
from data.collection.tags import TAGS, read_tag, tag_values
from data.errors import SettingsError


def song(path: Path, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(2205), 22050)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        for name, value in tags.items():
            file[name] = value
        file.save()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    song(tmp_path / "rock" / "a.mp3", artist="Queen ", album="Live", genre="Rock")
    song(tmp_path / "rock" / "b.ogg", artist="Queen", album="Jazz", genre="Rock")
    song(tmp_path / "pop" / "c.flac", artist="Abba", album="Live", genre="Pop")
    song(tmp_path / "pop" / "d.mp3")
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "groups"),
    [
        ("artist", {"pop/c.flac": "Abba", "rock/a.mp3": "Queen", "rock/b.ogg": "Queen"}),
        ("album", {"pop/c.flac": "Abba: Live", "rock/a.mp3": "Queen: Live", "rock/b.ogg": "Queen: Jazz"}),
    ],
)
def test_groups_from_tags(library: Path, tag: str, groups: dict[str, str]) -> None:
    collected = collect(library, Layout(groups_from=tag))
    assert collected.groups == groups
    assert collected.notes == [f"1 files have no {tag}, such as pop/d.mp3"]


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_id3_frames_of_wav_and_aiff_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    song(path)
    file = mutagen.File(path)
    file.add_tags()
    for frame, value in ((TPE1, "Queen"), (TPE2, "Various"), (TALB, "Live"), (TCON, "(17)")):
        file.tags.add(frame(encoding=3, text=[value]))
    file.save()
    assert tag_values(path, *TAGS) == [["Queen"], ["Live"], ["Various"], ["Rock"]]
    source = SourceFile(path.name, "rock", str(path), size=0, mtime_ns=0)
    assert read_tag([source], "album").values == {path.name: "Various: Live"}


def test_groups_from_folders(library: Path) -> None:
    collected = collect(library, Layout(groups_from="folder"))
    assert set((collected.groups or {}).values()) == {"pop", "rock"}
    assert collected.notes == []


def test_labels_from_tags(library: Path) -> None:
    collected = collect(library, Layout(labels_from="genre"))
    assert [(file.track_id, file.label) for file in collected.files] == [
        ("pop/c.flac", "Pop"),
        ("rock/a.mp3", "Rock"),
        ("rock/b.ogg", "Rock"),
    ]
    assert collected.notes == ["1 files have no genre, such as pop/d.mp3"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.mp3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(50)), ("e.m4a", b"\x00\x00\x00\x09ftypM4A " * 3)],
)
def test_files_whose_tags_are_damaged_are_counted(library: Path, name: str, content: bytes) -> None:
    (library / "pop" / name).write_bytes(content)
    collected = collect(library, Layout(groups_from="artist"))
    assert collected.notes == [
        f"1 files have no artist, such as pop/d.mp3; the tags of 1 files cannot be read, such as pop/{name}"
    ]


def test_options_that_contradict_each_other(library: Path) -> None:
    with pytest.raises(SettingsError, match="--groups and --groups-from: give one of them"):
        collect(library, Layout(groups="groups.csv", groups_from="artist"))
    with pytest.raises(SettingsError, match="--subset small: needs --labels FILE"):
        collect(library, Layout(subset="small"))
