from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.collection.groups import match_groups, read_groups
from data.collection.scan import find_files, scan_folder
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
    sizes = {f.track_id: f.size for f in find_files(tmp_path)}
    assert sizes == {"pop/b.wav": 1, "rock/a.wav": 1, "rock/self.wav": -1}


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
        ("", "not a table: it has no header"),
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
    touch(tmp_path, *(f"jazz/{number}.mid" for number in range(3)), "pop/notes.TXT", "pop/README")
    scan = scan_folder(tmp_path)
    assert [file.track_id for file in scan.files] == ["pop/b.wav", "rock/a.wav", "rock/live/c.wav"]
    summary = scan.summary()
    assert summary.startswith("3 .mid (such as jazz/0.mid), ")
    for part in ("1 .txt (such as pop/notes.TXT)", "2 without a suffix", "; no usable file in jazz"):
        assert part in summary
    flat = scan_folder(tmp_path, flat=True)
    assert [file.track_id for file in flat.files] == ["pop/b.wav", "rock/a.wav"]
    assert "1 folders (such as live)" in flat.summary()
    assert scan_folder(touch(tmp_path / "clean", "rock/a.wav", "pop/b.wav")).summary() == ""


def test_titles_that_begin_with_a_dot_are_found_and_system_files_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "metal/...And Justice for All.ogg", "metal/.45.ogg", "pop/a.ogg")
    touch(
        tmp_path,
        "metal/._a.ogg",
        "metal/.DS_Store",
        "pop/Thumbs.db",
        "__MACOSX/pop/._a.ogg",
        "pop/desktop.ini",
    )
    scan = scan_folder(tmp_path)
    names = [file.track_id for file in scan.files]
    assert names == ["metal/...And Justice for All.ogg", "metal/.45.ogg", "pop/a.ogg"]
    assert scan.summary() == ""


@pytest.mark.parametrize("prefix", ["Data/genres_original", "genres", "archive/genres", "a/b/c"])
def test_the_folder_that_holds_the_genres_is_found_some_levels_below(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path, f"{prefix}/rock/a.wav", f"{prefix}/pop/live/b.wav", "Data/images_original/rock/a.png")
    assert [(file.track_id, file.label) for file in find_files(tmp_path)] == [
        ("pop/live/b.wav", "pop"),
        ("rock/a.wav", "rock"),
    ]


def test_a_genre_with_albums_is_not_taken_for_the_parent_of_the_genres(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"only one genre \(rock\)"):
        find_files(touch(tmp_path, "rock/a.wav", "rock/live/b.wav", "rock/studio/c.wav"))


def test_names_are_compared_in_nfc(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "chanson/Édith.wav")
    touch(tmp_path, decomposed, "rock/a.wav")
    file = find_files(tmp_path)[0]
    assert file.track_id == "chanson/Édith.wav"
    assert Path(file.path).is_file()
    for form in ("NFC", "NFD"):
        path = groups_file(tmp_path, unicodedata.normalize(form, "file,group\nchanson/Édith.wav,Piaf\n"))
        assert read_groups(path, [file.track_id]) == {"chanson/Édith.wav": "Piaf"}


def test_genres_that_differ_in_spelling_are_named_and_joined(tmp_path: Path) -> None:
    touch(tmp_path, "Hip-Hop/a.wav", "Hip-Hop/b.wav", "hip-hop/c.wav", "hip-hop /d.wav", "rock/e.wav")
    (warning,) = scan_folder(tmp_path).warnings()
    assert warning == "'Hip-Hop' and 'hip-hop' and 'hip-hop ' are separate genres; --merge-labels joins them"
    merged = scan_folder(tmp_path, merge_labels=True)
    assert [file.label for file in merged.files] == ["Hip-Hop"] * 4 + ["rock"]
    assert merged.warnings() == []


def test_genres_with_few_tracks_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "rock/a.wav", "rock/b.wav", "pop/a.wav", "pop/b.wav", "jazz/a.wav")
    scan = scan_folder(tmp_path, min_tracks=2)
    assert {file.label for file in scan.files} == {"rock", "pop"}
    assert scan.summary() == "1 in genres with fewer than 2 files (such as jazz)"


def test_folders_that_are_numbers_are_questioned(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="numbers, not genres; for the Free Music Archive"):
        find_files(touch(tmp_path / "fma", "000/000002.mp3", "001/001001.mp3"))
    (warning,) = scan_folder(touch(tmp_path / "decades", "1970/a.wav", "1980/b.wav")).warnings()
    assert warning.startswith("all genres are numbers (1970, 1980, ...)")


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "music", "rock/a.wav", "pop/b.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(find_files(Path("~/music"))) == 2


def test_groups_that_match_a_part_of_the_files_are_counted(tmp_path: Path) -> None:
    tracks = [f"rock/{number}.wav" for number in range(42)]
    rows = [track if number % 3 else track.replace(".wav", ".mp3") for number, track in enumerate(tracks)]
    path = groups_file(tmp_path, "file,group\n" + "".join(f"{row},x\n" for row in rows))
    groups = match_groups(path, tracks)
    assert len(groups.groups) == 28
    assert groups.summary() == "28 of 42 files named; 14 rows match no file, such as rock/0.mp3"


@pytest.mark.parametrize(
    "content",
    [
        "file, group\nrock/a.wav, Queen\n",
        "File;GROUP\nrock/a.wav;Queen\n",
        "\ufefffile\tgroup\nrock\\a.wav\tQueen\n",
        "file,group\n./rock/a.wav,Queen\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_groups_as_people_write_them(tmp_path: Path, content: str, encoding: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(content, encoding=encoding)
    assert read_groups(path, ["rock/a.wav"]) == {"rock/a.wav": "Queen"}


def test_a_table_in_cp1252(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes("file,group\nrock/a.wav,Motörhead\n".encode("cp1252"))
    assert read_groups(path, ["rock/a.wav"]) == {"rock/a.wav": "Motörhead"}
