"""Groups and genres from the tags of audio files: ID3, Vorbis comments, MP4 and others, read by mutagen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from data.collection.source_file import SourceFile
from data.io.names import normalised

TAGS = ("artist", "album", "albumartist", "genre")
"""Tags that can be read, under mutagen's names for all formats ("easy" tags)."""
_ID3_FRAMES = {"artist": "TPE1", "album": "TALB", "albumartist": "TPE2", "genre": "TCON"}
"""The frames of the ID3 standard (id3.org, version 2.4.0) that hold these tags."""


@dataclass(frozen=True)
class TagValues:
    """Values of a tag.

    Attributes
    ----------
    values : dict of str to str
        Value of each track that has the tag.
    missing : list of str
        Tracks without the tag.
    unreadable : list of str
        Tracks whose tags cannot be read.
    """

    values: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def summary(self, tag: str) -> str:
        """Describe the missing tags, with an example; empty if all files have the tag."""
        parts = []
        if self.missing:
            parts.append(f"{len(self.missing)} files have no {tag}, such as {self.missing[0]}")
        if self.unreadable:
            parts.append(
                f"the tags of {len(self.unreadable)} files cannot be read, such as {self.unreadable[0]}"
            )
        return "; ".join(parts)


def read_tag(files: Iterable[SourceFile], tag: str) -> TagValues:
    """Read a tag of each file.

    Parameters
    ----------
    files : iterable of SourceFile
        The files.
    tag : str
        One of `TAGS`, or ``folder``: the folder directly above a file.

    Returns
    -------
    TagValues
        The values in NFC, without surrounding spaces. An album is prefixed with its artist, since many albums
        have the same name.
    """
    result = TagValues()
    for file in files:
        try:
            value = (
                PurePosixPath(file.track_id).parent.as_posix() if tag == "folder" else _value(file.path, tag)
            )
        except UnreadableTagsError:
            result.unreadable.append(file.track_id)
            continue
        if value:
            result.values[file.track_id] = value
        else:
            result.missing.append(file.track_id)
    return result


def tag_coverage(paths: Sequence[str], limit: int = 200) -> dict[str, int] | None:
    """Count which tags some of the files have.

    Parameters
    ----------
    paths : sequence of str
        The files.
    limit : int
        About the number of files that are read, evenly spread.

    Returns
    -------
    dict of str to int, or None
        ``files`` that could be opened, and how many of them have each of `TAGS`; None if none could.
    """
    counts = dict.fromkeys(("files", *TAGS), 0)
    for path in paths[:: max(1, len(paths) // limit)]:
        if not os.path.isfile(path):  # noqa: PTH113 - names may hold what is not UTF-8
            continue
        counts["files"] += 1
        for tag in TAGS:
            with suppress(UnreadableTagsError):
                counts[tag] += bool(_value(path, tag))
    return counts if counts["files"] else None


class UnreadableTagsError(Exception):
    """The tags of a file are damaged."""


def tag_values(path: str | Path, *names: str) -> list[list[str]]:
    """Read tags of one file.

    Parameters
    ----------
    path : str or Path
        The file.
    *names : str
        Some of `TAGS`.

    Returns
    -------
    list of list of str
        All values of each tag, empty if the file does not have it.

    Raises
    ------
    UnreadableTagsError
        If the tags are damaged.
    """
    import mutagen
    from mutagen.id3 import ID3

    try:
        file = mutagen.File(path, easy=True)
        tags = None if file is None else file.tags
        if isinstance(tags, ID3):
            return [_id3_values(tags, name) for name in names]
    except Exception as error:  # mutagen's parsers raise errors of many kinds at damaged files
        raise UnreadableTagsError from error
    return [_easy_values(tags, name) for name in names]


def _id3_values(tags: Any, name: str) -> list[str]:
    """Values in ID3 frames: WAV and AIFF have no "easy" tags."""
    frames = tags.getall(_ID3_FRAMES[name])
    return [str(value) for frame in frames for value in (frame.genres if name == "genre" else frame.text)]


def _easy_values(tags: Any, name: str) -> list[str]:
    try:
        return [str(value) for value in (tags.get(name) if tags else None) or ()]
    except (KeyError, ValueError):
        return []


def _value(path: str, tag: str) -> str:
    """Return the first value of a tag of one file, stripped and in NFC; empty if the file has none.

    Raises
    ------
    UnreadableTagsError
        If the tags are damaged.
    """
    (values,) = tag_values(path, tag)
    value = _first(values)
    if tag == "album" and value:
        album_artist, artist = map(_first, tag_values(path, "albumartist", "artist"))
        owner = album_artist or artist
        return f"{owner}: {value}" if owner else value
    return value


def _first(values: Sequence[str]) -> str:
    return normalised(values[0]).strip() if values else ""
