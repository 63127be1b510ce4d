from __future__ import annotations

from pathlib import Path

from results.exporting.confusion_plot import confusion_picture


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "confusion.png"
    confusion_picture(path, [[3, 1], [0, 0]], ["blues", "rock"], "two genres")
    assert path.read_bytes().startswith(b"\x89PNG")
