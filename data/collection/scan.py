"""A folder a genre: which files there are, and which group each belongs to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data.audio.decode import SUFFIXES
from data.cache.writer import GIVEN_GROUP
from data.errors import SettingsError
from data.io.csv_files import read_listing
from data.io.folder import Folder, printable


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the collection.

    Attributes
    ----------
    track_id : str
        Its path relative to the genre folders' parent, with ``/``, as `printable` gives it.
    label : str
        Its genre: the folder's name, likewise.
    path : str
        Where it is, as the system names it.
    size : int
        Bytes; -1 where the system does not say, as for a link that leads nowhere.
    mtime_ns : int
        Time of the last change in nanoseconds since 1970; -1 likewise.
    """

    track_id: str
    label: str
    path: str
    size: int
    mtime_ns: int


def find_files(
    folder: Path,
    *,
    option: str = "--audio",
    inner: str = "genres_original",
    suffixes: Iterable[str] = SUFFIXES,
) -> list[Found]:
    """Files of a folder of genre folders, sorted.

    Parameters
    ----------
    folder : Path
        The genre folders' parent, or the folder that holds it under the name `inner`.
    option : str
        Option that named it, for the messages.
    inner : str
        Name by which the genre folders' parent goes in the public download of GTZAN.
    suffixes : iterable of str
        Endings, in small letters, of the files wanted.

    Raises
    ------
    SettingsError
        If the folder is missing or not a folder, or holds no such file, or files of one genre only.
    """
    wanted = frozenset(suffixes)
    if not folder.is_dir():
        raise SettingsError(f"{option} {folder}: no such folder; it must hold a folder for each genre")
    # Workers, on other nodes perhaps, have other working folders.
    folder = folder.absolute()
    root = _root(folder, inner)
    found: list[Found] = []
    try:
        for genre in _entries(root):
            if _is_folder(genre):
                found += [
                    _found(root, genre.name, entry)
                    for entry in _entries(Path(genre.path))
                    if Path(entry.name).suffix.lower() in wanted
                ]
    except OSError as error:
        where = error.filename or root
        raise SettingsError(f"{option} {where}: cannot be read ({error.strerror})") from error
    genres = sorted({file.label for file in found})
    if not found:
        kinds = " ".join(sorted(wanted))
        raise SettingsError(
            f"{option} {root}: no genre folder with a file in it ({kinds}); expected GENRE/FILE"
        )
    if len(genres) == 1:
        raise SettingsError(
            f"{option} {root}: only one genre ({genres[0]}); a classifier needs at least two folders"
        )
    return found


def left_alone(folder: Path, *, inner: str = "genres_original", suffixes: Iterable[str] = SUFFIXES) -> str:
    """Say what of a collection `find_files` takes no notice of.

    Parameters
    ----------
    folder, inner, suffixes
        As for `find_files`.

    Returns
    -------
    str
        Such as ``120 .m4a, 3 folders; no usable file in jazz``; empty where there is nothing.
    """
    wanted = frozenset(suffixes)
    root = _root(folder, inner)
    others: Counter[str] = Counter()
    empty = []
    for genre in filter(_is_folder, _entries(root)):
        kinds = Counter(
            "folders" if _is_folder(entry) else Path(entry.name).suffix.lower() or "without a suffix"
            for entry in _entries(Path(genre.path))
        )
        if not wanted & set(kinds):
            empty.append(printable(genre.name))
        others += Counter({kind: count for kind, count in kinds.items() if kind not in wanted})
    parts = [", ".join(f"{count} {kind}" for kind, count in others.most_common())] if others else []
    if empty:
        parts.append(f"no usable file in {', '.join(empty)}")
    return "; ".join(parts)


def _root(folder: Path, inner: str) -> Path:
    """Return the genre folders' parent: the folder, or the one that it holds under the name `inner`."""
    return folder / inner if (folder / inner).is_dir() else folder


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself is no folder; asking raises.
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)


def _found(root: Path, genre: str, entry: os.DirEntry[str]) -> Found:
    path = str(root / genre / entry.name)
    track_id, label = printable(f"{genre}/{entry.name}"), printable(genre)
    try:
        status = entry.stat()
    except OSError:
        return Found(track_id, label, path, -1, -1)
    return Found(track_id, label, path, status.st_size, status.st_mtime_ns)


def read_groups(path: str | Path, track_ids: Iterable[str]) -> dict[str, str]:
    """Group of each track that a CSV file with the columns ``file`` and ``group`` names.

    Parameters
    ----------
    path : str or Path
        The CSV file; ``file`` is relative to the genre folders' parent, as a ``track_id`` is.
    track_ids : iterable of str
        The tracks there are; others in the file are left out, as is an empty group.

    Raises
    ------
    SettingsError
        If the file cannot be read, lacks a column, names a file twice with two groups, or names none of the
        tracks.
    """
    table = read_listing(path, ("file", "group"), option="--groups", error=SettingsError)
    groups: dict[str, str] = {}
    for line, (file, group) in enumerate(zip(table["file"], table["group"], strict=True), start=2):
        name = file.replace("\\", "/").removeprefix("./")
        if groups.setdefault(name, group) != group:
            raise SettingsError(
                f"--groups {path}, line {line}: {file!r} is in {group!r}, but in {groups[name]!r} above"
            )
    known = {track: groups[track] for track in track_ids if groups.get(track)}
    if not known:
        example = next(iter(groups), "nothing")
        raise SettingsError(
            f"--groups {path}: names none of the files (it has {example!r}); give each as GENRE/FILE"
        )
    return known


def kept_groups(cache: Folder) -> dict[str, str]:
    """Group of each track of a cache that was given one when the cache was made; none without a cache."""
    if not cache.exists("manifest.parquet"):
        return {}
    manifest = cache.parquet("manifest.parquet")
    if GIVEN_GROUP not in manifest.schema_arrow.names:
        return {}
    table = manifest.read(["track_id", GIVEN_GROUP])
    pairs = zip(table["track_id"].to_pylist(), table[GIVEN_GROUP].to_pylist(), strict=True)
    return {track: group for track, group in pairs if group is not None}
