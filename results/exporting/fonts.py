"""Fonts for names in any script: matplotlib's own, and installed ones for the characters that it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unicodedata import category

import click

_OWN = "DejaVu Sans"
"""Comes with matplotlib; it lacks Chinese, Japanese and Korean characters."""
_PLACEHOLDERS = "Last Resort"
"""Comes with matplotlib too; it has the same box for all characters of a script."""
_INVISIBLE = ("Cc", "Cf", "Zs")


@contextmanager
def fonts_for(texts: Sequence[str]) -> Iterator[None]:
    """Use fonts with the glyphs of all `texts` for the matplotlib figures of a block.

    Parameters
    ----------
    texts : sequence of str
        The texts, as returned by `drawable`.
    """
    import matplotlib as mpl

    families, _ = _families("".join(texts))
    with mpl.rc_context({"font.family": [_OWN, *families]}):
        yield


def drawable(labels: Sequence[str], path: Path) -> list[str]:
    """Replace the labels that no installed font can draw by their numbers, with a note on standard error.

    Parameters
    ----------
    labels : sequence of str
        The labels.
    path : Path
        The picture, which the note names.
    """
    missing = [_families(label)[1] for label in labels]
    if any(missing):
        example = labels[next(number for number, characters in enumerate(missing) if characters)]
        click.echo(
            f"Note: {path.name}: no installed font has the characters of {example!r}, so such names are"
            " replaced by their numbers; install one, such as the package fonts-noto-cjk",
            err=True,
        )
    return [
        f"no. {number}" if characters else label
        for number, (label, characters) in enumerate(zip(labels, missing, strict=True), start=1)
    ]


def without_unknown(text: str) -> str:
    """Replace the characters of a text that no installed font can draw by question marks."""
    _, missing = _families(text)
    return "".join("?" if character in missing else character for character in text)


def _families(text: str) -> tuple[list[str], set[str]]:
    """Return the font families to use besides matplotlib's own, and the characters that none of them has."""
    from matplotlib.font_manager import findfont, fontManager

    shown = {character for character in text if category(character) not in _INVISIBLE}
    missing = shown - _characters(findfont(_OWN))
    families: list[str] = []
    for font in fontManager.ttflist:
        if not missing:
            break
        known = missing & _characters(font.fname)
        if known and not font.name.startswith(_PLACEHOLDERS):
            families.append(font.name)
            missing -= known
    return families, missing


@cache
def _characters(path: str) -> frozenset[str]:
    """Return the characters of a font file; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
