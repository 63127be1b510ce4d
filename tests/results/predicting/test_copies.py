from __future__ import annotations

import errno
from pathlib import Path

import pytest

from data.errors import OutputError
from results.predicting.copies import copy_to_genre


def test_a_copy_is_sorted_by_genre_and_keeps_the_original(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"song")
    copy = copy_to_genre(tmp_path / "a.mp3", "hip/hop", tmp_path / "sorted")
    assert copy == tmp_path / "sorted" / "hip_hop" / "a.mp3"
    assert copy.read_bytes() == (tmp_path / "a.mp3").read_bytes() == b"song"
    assert [path.name for path in copy.parent.iterdir()] == ["a.mp3"]


def test_genre_names_stay_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"song")
    assert copy_to_genre(tmp_path / "a.mp3", "..", tmp_path / "sorted").parent == tmp_path / "sorted" / "_"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(self: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.mp3").write_bytes(b"%d" % number)
    copy = copy_to_genre(tmp_path / "1" / "a.mp3", "pop", tmp_path / "sorted")
    with pytest.raises(OutputError, match=r"a\.mp3: exists already and is not replaced; name another --copy"):
        copy_to_genre(tmp_path / "2" / "a.mp3", "pop", tmp_path / "sorted")
    assert copy.read_bytes() == b"1"
    assert [path.name for path in copy.parent.iterdir()] == ["a.mp3"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"song")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        copy_to_genre(tmp_path / "a.mp3", "pop", tmp_path / "file")
