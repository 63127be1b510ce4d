"""Groups and genres from the tags of audio files: ID3, Vorbis comments, MP4 and others, read by mutagen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from data.collection.source_file import SourceFile
from data.io.names import normalised

TAGS = ("artist", "album", "albumartist", "genre")
"""Tags that can be read, under mutagen's names for all formats ("easy" tags)."""


@dataclass(frozen=True)
class TagValues:
    """Values of a tag.

    Attributes
    ----------
    values : dict of str to str
        Value of each track that has the tag.
    missing : list of str
        Tracks without the tag, or whose tags cannot be read.
    """

    values: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def summary(self, tag: str) -> str:
        """Describe the missing tags, with an example; empty if all files have the tag."""
        if not self.missing:
            return ""
        return f"{len(self.missing)} files have no {tag}, such as {self.missing[0]}"


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
        value = PurePosixPath(file.track_id).parent.as_posix() if tag == "folder" else _value(file.path, tag)
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
            counts[tag] += bool(_value(path, tag))
    return counts if counts["files"] else None


def _value(path: str, tag: str) -> str:
    """Value of a tag of one file; empty if the file has none or its tags are damaged."""
    import mutagen

    try:
        tags = mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError, ValueError, KeyError, IndexError):
        return ""
    if not tags:
        return ""
    value = _first(tags, tag)
    if tag == "album" and value:
        artist = _first(tags, "albumartist") or _first(tags, "artist")
        return f"{artist}: {value}" if artist else value
    return value


def _first(tags: object, tag: str) -> str:
    """First value of a tag, stripped and in NFC."""
    try:
        values = tags.get(tag) or [""]  # type: ignore[attr-defined]
    except (KeyError, ValueError):
        return ""
    return normalised(str(values[0])).strip()
