"""The audio files that a user means: files, folders, globs, or a list of them on standard input."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

STDIN = "-"
"""Stands for names that are read from standard input, one a line."""


def audio_files(given: Iterable[str], lines: Iterable[str], skipped: Callable[[str], None]) -> Iterator[str]:
    """Name each file that is meant, as soon as it is known.

    A name that is none of file, folder and glob is left to fail as a file.

    Parameters
    ----------
    given : iterable of str
        Files, folders (with all their subfolders), globs, and `STDIN`.
    lines : iterable of str
        Lines of standard input.
    skipped : callable
        Told of each name that stands for no file.
    """
    from data.audio import SUFFIXES

    for name in given:
        path = Path(name)
        if name == STDIN:
            named = (line.strip() for line in lines)
            yield from audio_files((line for line in named if line and line != STDIN), (), skipped)
        elif path.is_dir():
            inside = sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
            if not inside:
                skipped(f"{name}: no audio file in this folder")
            yield from inside
        elif path.exists() or not glob.has_magic(name):
            yield name
        else:
            # Path.glob takes no absolute pattern.
            matches = glob.glob(name, recursive=True)  # noqa: PTH207
            found = sorted(file for file in matches if Path(file).is_file())
            if not found:
                skipped(f"{name}: no file matches this")
            yield from found
