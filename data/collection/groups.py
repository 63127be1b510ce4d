"""Groups of tracks that no split may separate, as users give them and as caches keep them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from data.cache.partition import given_values
from data.cache.writer import GIVEN_GROUP
from data.errors import SettingsError
from data.io.csv_files import read_listing
from data.io.folder import Folder
from data.io.names import file_name


@dataclass(frozen=True)
class NamedGroups:
    """Groups from a table.

    Attributes
    ----------
    groups : dict of str to str
        Group of each track that has one.
    n_files : int
        Number of files of the collection.
    unmatched : list of str
        Names in the table that match no file.
    """

    groups: dict[str, str]
    n_files: int
    unmatched: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every file has a group and every row matches a file."""
        return len(self.groups) == self.n_files and not self.unmatched

    def summary(self) -> str:
        """Describe how many files and rows match, with an example."""
        text = f"{len(self.groups)} of {self.n_files} files named"
        if self.unmatched:
            text += f"; {len(self.unmatched)} rows match no file, such as {self.unmatched[0]}"
        return text


def match_groups(path: str | Path, track_ids: Collection[str]) -> NamedGroups:
    """Read the group of each track from a table with the columns ``file`` and ``group``.

    Parameters
    ----------
    path : str or Path
        The table; ``file`` is relative to the genre folders' parent, as a ``track_id`` is. An empty group is
        ignored.
    track_ids : collection of str
        All tracks of the collection.

    Raises
    ------
    SettingsError
        If the table cannot be read, lacks a column, names a file twice with two groups, or matches none of
        the tracks.
    """
    table = read_listing(path, ("file", "group"), option="--groups", error=SettingsError)
    groups: dict[str, str] = {}
    for line, (file, group) in enumerate(zip(table["file"], table["group"], strict=True), start=2):
        name = file_name(file)
        if groups.setdefault(name, group) != group:
            raise SettingsError(
                f"--groups {path}, line {line}: {file!r} is in {group!r}, but in {groups[name]!r} above"
            )
    names = {file_name(track): track for track in track_ids}
    matched = {names[name]: group for name, group in groups.items() if group and name in names}
    if not matched:
        example = next(iter(groups), "nothing")
        raise SettingsError(
            f"--groups {path}: names none of the files (it has {example!r}); give each as GENRE/FILE"
        )
    return NamedGroups(matched, len(track_ids), [name for name in groups if name not in names])


def read_groups(path: str | Path, track_ids: Collection[str]) -> dict[str, str]:
    """Read the group of each track that has one; see `match_groups`."""
    return match_groups(path, track_ids).groups


def kept_groups(cache: Folder) -> dict[str, str]:
    """Group of each track that had one when the cache was made; empty without a cache."""
    return given_values(cache, GIVEN_GROUP)
