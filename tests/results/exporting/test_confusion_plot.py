from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.exporting.confusion_plot import plot_confusion
from results.exporting.fonts import drawable, fonts_for, without_unknown

UNKNOWN = "\U0001f3b8"  # a guitar
PRIVATE = "\U000f0123"  # a character that only the test's font has


@pytest.fixture
def font(tmp_path: Path) -> Iterator[str]:
    """An installed font with one character that matplotlib's own font lacks."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib.font_manager import fontManager

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (500, 700), (500, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "box"])
    builder.setupCharacterMap({ord(PRIVATE): "box"})
    builder.setupGlyf({".notdef": pen.glyph(), "box": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "box": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    path = tmp_path / "boxes.ttf"
    builder.save(path)
    before = list(fontManager.ttflist)
    fontManager.addfont(path)
    yield "Boxes"
    fontManager.ttflist[:] = before


def test_the_plot_is_written_as_png(tmp_path: Path) -> None:
    path = tmp_path / "confusion.png"
    plot_confusion(path, [[3, 1], [0, 0]], ["blues", "rock"], "two genres")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_name_that_no_font_can_draw_is_a_number_and_one_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "confusion.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion(path, [[3, 1], [0, 0]], ["\u0637\u0631\u0628", UNKNOWN], f"run {UNKNOWN}")
    # Arabic letters are in matplotlib's own font.
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith(f"Note: confusion.png: no installed font has the characters of {UNKNOWN!r}")
    assert drawable(["blues", UNKNOWN], path) == ["blues", "no. 2"]
    assert without_unknown(f"run {UNKNOWN}") == "run ?"


def test_an_installed_font_is_used(font: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib as mpl

    assert drawable(["blues", PRIVATE], tmp_path / "confusion.png") == ["blues", PRIVATE]
    assert capsys.readouterr().err == ""
    with fonts_for(["blues", PRIVATE]):
        assert mpl.rcParams["font.family"] == ["DejaVu Sans", font]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion(tmp_path / "confusion.png", [[1, 0], [0, 1]], ["blues", PRIVATE], "two genres")
