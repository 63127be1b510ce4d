from __future__ import annotations

from pathlib import Path

from results.exporting.confusion_plot import plot_confusion


def test_the_plot_is_written_as_png(tmp_path: Path) -> None:
    path = tmp_path / "confusion.png"
    plot_confusion(path, [[3, 1], [0, 0]], ["blues", "rock"], "two genres")
    assert path.read_bytes().startswith(b"\x89PNG")
