from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.collection.scan import find_files, left_alone, read_groups
from data.errors import SettingsError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def test_a_folder_a_genre(tmp_path: Path) -> None:
    touch(
        tmp_path, "rock/b.WAV", "rock/a.mp3", "blues/c.ogg", "blues/notes.txt", "blues/._c.ogg", "README.md"
    )
    assert [(f.track_id, f.label) for f in find_files(tmp_path)] == [
        ("blues/c.ogg", "blues"),
        ("rock/a.mp3", "rock"),
        ("rock/b.WAV", "rock"),
    ]


def test_gtzan_as_downloaded(tmp_path: Path) -> None:
    touch(tmp_path, "genres_original/rock/a.wav", "genres_original/pop/b.wav", "images_original/rock/a.png")
    assert [f.track_id for f in find_files(tmp_path)] == ["pop/b.wav", "rock/a.wav"]


def test_links_that_loop_or_lead_nowhere_are_no_obstacle(tmp_path: Path) -> None:
    touch(tmp_path, "rock/a.wav", "pop/b.wav")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "rock" / "up").symlink_to(tmp_path)
    (tmp_path / "rock" / "self.wav").symlink_to(tmp_path / "rock" / "self.wav")
    found = {f.track_id: f.size for f in find_files(tmp_path)}
    assert found == {"pop/b.wav": 1, "rock/a.wav": 1, "rock/self.wav": -1}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no genre folder"),
        (["a.wav"], "no genre folder"),
        (["rock/a.txt"], "no genre folder"),
        (["rock/a.wav", "rock/b.wav"], r"only one genre \(rock\)"),
    ],
)
def test_a_folder_that_is_no_collection(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        find_files(touch(tmp_path, *names))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        find_files(tmp_path / "gone")


def test_a_genre_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "rock/a.wav", "pop/b.wav", "jazz/c.wav")
    scandir = os.scandir

    def refused(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "pop":
            # As for anybody but root, who may run this test.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(SettingsError, match=r"--audio \S+/pop: cannot be read \(Permission denied\)"):
        find_files(tmp_path)


def groups_file(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "groups.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_groups_of_the_files_that_are_there(tmp_path: Path) -> None:
    path = groups_file(
        tmp_path, "file,label,group\nrock/a.wav,x,Queen\nrock/b.wav,x,\nrock/gone.wav,x,Queen\n"
    )
    assert read_groups(path, ["rock/a.wav", "rock/b.wav"]) == {"rock/a.wav": "Queen"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,group\na,b\n", "no column 'file'"),
        ("file,artist\na,b\n", "no column 'group'"),
        ("", "not a CSV file"),
        ("file,group\nother/a.wav,b\n", "names none of the files"),
        ("file,group\nrock/a.wav,b\nrock/a.wav,c\n", "line 3: 'rock/a.wav' is in 'c', but in 'b' above"),
    ],
)
def test_a_bad_groups_file(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_groups(groups_file(tmp_path, content), ["rock/a.wav"])


def test_a_missing_groups_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        read_groups(tmp_path / "gone.csv", ["rock/a.wav"])


def test_ignored_files_are_summarised(tmp_path: Path) -> None:
    touch(tmp_path, "rock/a.wav", "pop/b.wav", "rock/.hidden", "rock/live/c.wav")
    touch(tmp_path, *(f"jazz/{number}.m4a" for number in range(3)), "pop/notes.TXT", "pop/README")
    summary = left_alone(tmp_path)
    assert summary.startswith("3 .m4a, ")
    for part in ("1 folders", "1 .txt", "1 without a suffix", "; no usable file in jazz"):
        assert part in summary
    assert left_alone(touch(tmp_path / "clean", "rock/a.wav", "pop/b.wav")) == ""
