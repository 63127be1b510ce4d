"""Walk through folders: without the files of operating systems, and without following linked folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from data.audio.decode import SUFFIXES
from data.collection.ignored import Ignored

_SYSTEM_NAMES = frozenset(
    {
        ".ds_store",
        "thumbs.db",
        "desktop.ini",
        ".directory",
        ".localized",
        "__macosx",
        ".appledouble",
        "@eadir",
    }
)
"""Files and folders that operating systems and network disks add, in lower case."""
_SYSTEM_PREFIXES = ("._", ".Spotlight-", ".Trash", ".fseventsd")


def walk(folder: Path, *, flat: bool = False, ignored: Ignored | None = None) -> Iterator[os.DirEntry[str]]:
    """Yield all files of a folder and its subfolders, except those that operating systems add.

    Links to folders are not followed, so that a link to a parent cannot make a loop; they are counted in
    `ignored`.
    """
    for entry in entries_of(folder):
        if not is_folder(entry) or Path(entry.name).suffix.lower() in SUFFIXES:
            yield entry
        elif entry.is_symlink():
            if ignored is not None:
                ignored.add("linked folders", entry.name)
        elif not flat:
            yield from walk(Path(entry.path), ignored=ignored)
        elif ignored is not None:
            ignored.add("folders", entry.name)


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders inside a folder, sorted; not those of operating systems."""
    return [
        Path(entry.path)
        for entry in entries_of(folder)
        if is_folder(entry) and not entry.name.startswith(".")
    ]


def musical_folders(folder: Path, endings: frozenset[str]) -> list[Path]:
    """Subfolders with audio files, at any depth."""
    folders = [Path(entry.path) for entry in entries_of(folder) if is_folder(entry)]
    return [path for path in folders if _holds_music(path, endings)]


def has_files(folder: Path, endings: frozenset[str]) -> bool:
    """Whether a folder itself holds a file with one of these endings."""
    return any(Path(entry.name).suffix.lower() in endings for entry in entries_of(folder))


def _holds_music(folder: Path, endings: frozenset[str]) -> bool:
    return any(Path(entry.name).suffix.lower() in endings for entry in walk(folder))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one."""
    # A link that leads to itself is not a folder; is_dir raises.
    try:
        return entry.is_dir()
    except OSError:
        return False


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted, except what operating systems add."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not _is_junk(entry.name)), key=lambda entry: entry.name)


def _is_junk(name: str) -> bool:
    return name.lower() in _SYSTEM_NAMES or name.startswith(_SYSTEM_PREFIXES)
