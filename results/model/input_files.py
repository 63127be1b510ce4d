"""The files that a user means: files, folders, globs, or a list of them on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

STDIN = "-"
"""Stands for names that are read from standard input, one a line."""


def meant_files(
    given: Iterable[str], lines: Iterable[str], suffixes: Collection[str], skipped: Callable[[str], None]
) -> Iterator[str]:
    """Name each file that is meant, as soon as it is known.

    A name that is none of file, folder and glob is left to fail as a file.

    Parameters
    ----------
    given : iterable of str
        Files, folders (with all their subfolders), globs, and `STDIN`.
    lines : iterable of str
        Lines of standard input.
    suffixes : collection of str
        Endings, in small letters, of the files that are taken out of a folder.
    skipped : callable
        Told of each name that stands for no file.
    """
    for name in given:
        if name == STDIN:
            # Only the end of the line is no part of a name: spaces may be.
            named = (line.rstrip("\r\n") for line in lines)
            wanted = (line for line in named if line.strip() and line != STDIN)
            yield from meant_files(wanted, (), suffixes, skipped)
        elif "\0" in name:
            skipped(f"{name!r}: not the name of a file, which holds no NUL")
        # Not Path's: until Python 3.12 they raise for a name that is too long or may not be looked at.
        elif os.path.isdir(name):  # noqa: PTH112
            inside = sorted(
                str(file)
                for file in Path(name).rglob("*")
                # Hidden ones are other programs' notes, such as ._song.mp3.
                if file.suffix.lower() in suffixes and not file.name.startswith(".")
            )
            if not inside:
                skipped(f"{name}: no file of a kind that the model takes ({' '.join(sorted(suffixes))})")
            yield from inside
        elif os.path.exists(name) or not glob.has_magic(name):  # noqa: PTH110
            yield name
        else:
            # Path.glob takes no absolute pattern.
            matches = glob.glob(name, recursive=True)  # noqa: PTH207
            found = sorted(file for file in matches if os.path.isfile(file))  # noqa: PTH113
            if not found:
                skipped(f"{name}: no file matches this")
            yield from found
