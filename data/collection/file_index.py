"""Files by all names that a table may use for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from data.errors import SettingsError
from data.io.names import file_name


class FileIndex:
    """Tracks by all names that a table may use for them.

    Parameters
    ----------
    track_ids : iterable of str
        Paths relative to the collection's folder.
    """

    def __init__(self, track_ids: Iterable[str]) -> None:
        self._tracks: dict[str, str | None] = {}
        self._exact: set[str] = set()
        for track in track_ids:
            path = PurePosixPath(track)
            self._exact.add(track)
            number = path.stem.lstrip("0")
            for key in {
                path.with_suffix("").as_posix(),
                path.name,
                path.stem,
                number if number.isdigit() else "",
            }:
                # None where two files have the name: it identifies neither.
                self._tracks[key] = None if key in self._tracks else track

    def find(self, name: str, where: str) -> str | None:
        """Return the track that a table names; None if there is none.

        Raises
        ------
        SettingsError
            If two files have the name.
        """
        name = file_name(name)
        parts = PurePosixPath(name).parts
        # A path may start above the collection's folder, or at the root of another machine.
        for start in range(len(parts)):
            if (tail := "/".join(parts[start:])) in self._exact:
                return tail
        if name in self._tracks and self._tracks[name] is None:
            raise SettingsError(f"{where}: {name!r} is the name of several files; give their paths")
        return self._tracks.get(name) or self._tracks.get(parts[-1] if parts else "")
