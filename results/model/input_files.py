"""Expand the file arguments of a command: files, folders, globs, or a list on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

STDIN = "-"
"""Stands for names that are read from standard input, one per line."""


def expand_files(
    arguments: Iterable[str],
    lines: Iterable[str],
    suffixes: Collection[str],
    report_unmatched: Callable[[str], None],
) -> Iterator[str]:
    """Yield the path of each file as soon as it is known.

    A name that matches nothing is yielded unchanged, so that opening it reports the error.

    Parameters
    ----------
    arguments : iterable of str
        Files, folders (searched recursively), globs, and `STDIN`.
    lines : iterable of str
        Lines of standard input.
    suffixes : collection of str
        Lower-case suffixes of the files to read from folders.
    report_unmatched : callable
        Called with a message for each argument that matches no file.
    """
    for name in arguments:
        if name == STDIN:
            # Strip only the line ending, because a file name may end with spaces.
            names = (line.rstrip("\r\n") for line in lines)
            listed_names = (name for name in names if name.strip() and name != STDIN)
            yield from expand_files(listed_names, (), suffixes, report_unmatched)
        elif "\0" in name:
            report_unmatched(f"{name!r}: a file name cannot contain NUL")
        # Not Path.is_dir: until Python 3.12 it raises for names that are too long or not accessible.
        elif os.path.isdir(name):  # noqa: PTH112
            folder_files = sorted(
                str(file)
                for file in Path(name).rglob("*")
                # Hidden files, such as ._song.mp3, are metadata of other programs.
                if file.suffix.lower() in suffixes and not file.name.startswith(".")
            )
            if not folder_files:
                report_unmatched(f"{name}: no file that the model can read ({' '.join(sorted(suffixes))})")
            yield from folder_files
        elif os.path.exists(name) or not glob.has_magic(name):  # noqa: PTH110
            yield name
        else:
            # Path.glob does not accept absolute patterns.
            matches = glob.glob(name, recursive=True)  # noqa: PTH207
            matching_files = sorted(file for file in matches if os.path.isfile(file))  # noqa: PTH113
            if not matching_files:
                report_unmatched(f"{name}: no file matches this pattern")
            yield from matching_files
