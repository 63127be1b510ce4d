"""A file of a collection, or a region of one: what becomes a track."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from data.audio.region import Region
from data.io.folder import printable
from data.io.names import normalised


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the collection.

    Attributes
    ----------
    track_id : str
        Its path relative to the genre folders' parent, separated by ``/``, in printable characters and in
        Unicode's composed form (NFC).
    label : str
        Its genre: the name of the first folder, in the same form.
    path : str
        Its path in the file system.
    size : int
        Size in bytes; -1 if it is unknown, as for a broken link.
    mtime_ns : int
        Time of the last change in nanoseconds since 1970; -1 if it is unknown.
    region : Region, optional
        The part of the file that is this track; its times are then at the end of `track_id`.
    """

    track_id: str
    label: str
    path: str
    size: int
    mtime_ns: int
    region: Region | None = None

    @property
    def file_id(self) -> str:
        """The track, without the time of a region: equal for all regions of a file."""
        return self.track_id if self.region is None else self.track_id.removesuffix(f"#{self.region}")

    @property
    def where(self) -> str:
        """The file's path, with the times of the region."""
        return self.path if self.region is None else f"{self.path}#{self.region}"

    def part(self, region: Region, label: str) -> SourceFile:
        """Return a region of the file as a track of its own."""
        return replace(self, track_id=f"{self.track_id}#{region}", label=label, region=region)


def below(root: Path, path: str) -> str:
    """Return a path relative to a folder, as a ``track_id`` is written."""
    return normalised(printable(os.path.relpath(path, root)))


def source_file(root: Path, entry: os.DirEntry[str], label: str | None = None) -> SourceFile:
    """Describe a file; its genre is the first folder below `root`, unless a label is given."""
    name = below(root, entry.path)
    genre = name.partition("/")[0] if label is None else label
    try:
        status = entry.stat()
    except OSError:
        return SourceFile(name, genre, entry.path, -1, -1)
    return SourceFile(name, genre, entry.path, status.st_size, status.st_mtime_ns)
