"""Write predicted genres as tags: into the songs, or as a table to review."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

from data.collection.tags import UnreadableTagsError, tag_values
from data.errors import OutputError
from data.io.folder import Folder, printable

TABLE = "genre-tags.csv"
"""Name of the table in the current folder."""


def read_genre_tag(path: str | Path) -> str:
    """Return the genre tag of a song; empty if it has none or its tags cannot be read."""
    try:
        (values,) = tag_values(path, "genre")
    except UnreadableTagsError:
        return ""
    return "; ".join(values)


def write_genre_tag(path: str | Path, genre: str) -> None:
    """Replace the genre tag of a song, which is changed as a whole or not at all; its audio stays as it is.

    Parameters
    ----------
    path : str or Path
        The song.
    genre : str
        The tag's value.

    Raises
    ------
    OutputError
        If the format has no tags, or the file cannot be written.
    """
    import mutagen
    from mutagen.id3 import ID3, TCON, Encoding

    path = Path(path)
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=".tmp-", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        try:
            shutil.copy2(path, scratch)
            song = mutagen.File(scratch, easy=True)
            if song is None:
                raise OutputError(f"{path}: this format has no tags; use --write-tags csv")
            if song.tags is None:
                song.add_tags()
            if isinstance(song.tags, ID3):
                song.tags.setall("TCON", [TCON(encoding=Encoding.UTF8, text=[genre])])
            else:
                song["genre"] = genre
            song.save()
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)
    except (mutagen.MutagenError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OutputError(f"{path}: its genre tag cannot be written ({reason})") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


class TagTable:
    """A table of the songs' genre tags and predicted genres; it appears whole when it is closed.

    Parameters
    ----------
    folder : str or Path
        Where to write `TABLE`.

    Raises
    ------
    OutputError
        If the table exists already or cannot be written.
    """

    def __init__(self, folder: str | Path = ".") -> None:
        self.path = Path(folder) / TABLE
        if self.path.exists():
            raise OutputError(f"{self.path}: exists already and is not replaced; move it away")
        self._rows: list[tuple[str, str, str, str]] = []

    def add(self, path: str, genre: str, confidence: float) -> None:
        """Add a song with its present tag."""
        self._rows.append((printable(path), read_genre_tag(path), genre, f"{confidence:.4f}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            return
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(("file", "genre_tag", "predicted_genre", "confidence"))
        table.writerows(self._rows)
        try:
            Folder.at(self.path.parent).write(self.path.name, text.getvalue().encode())
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
