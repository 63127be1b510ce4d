"""What the rows of tables of labels say about files: label, group, side, region."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from data.audio.region import Region
from data.cache.partition import known_words, side_of
from data.collection.file_index import FileIndex
from data.collection.source_file import SourceFile
from data.errors import SettingsError
from data.io.names import normalised
from data.io.table_file import TableFile

FILE_COLUMNS = ("file", "file_name", "path", "filename", "track_id")
LABEL_COLUMNS = ("label", "genre", "category", "class", "track.genre_top")
GROUP_COLUMNS = ("group", "artist", "album", "artist.id")
START_COLUMNS, END_COLUMNS = ("start",), ("end",)
SPLIT_COLUMNS = ("split", "fold", "set.split")
_SUBSET_COLUMN = "set.subset"
_SUBSETS = ("small", "medium", "large", "full")
"""FMA's subsets; each holds the ones before it."""


@dataclass(frozen=True)
class Columns:
    """Numbers of the columns of a table, and the subsets whose rows are read."""

    numbers: tuple[int | None, ...]
    subsets: tuple[str, ...]

    @classmethod
    def of(
        cls,
        table: TableFile,
        label_column: str | None,
        group_column: str | None,
        split_column: str | None,
        subset: str | None,
    ) -> Columns:
        """Find the columns of a table."""
        return cls(
            (
                table.required(FILE_COLUMNS),
                table.required(
                    (label_column,) if label_column else LABEL_COLUMNS, hint="; name one with --label-column"
                ),
                table.required((group_column,)) if group_column else table.column(GROUP_COLUMNS),
                table.required((split_column,)) if split_column else table.column(SPLIT_COLUMNS),
                table.required((_SUBSET_COLUMN,)) if subset else None,
                table.column(START_COLUMNS),
                table.column(END_COLUMNS),
            ),
            _SUBSETS[: _SUBSETS.index(subset) + 1] if subset else (),
        )


@dataclass
class TableContent:
    """What tables say about the files of a collection; `files` are by their name, the others by track.

    A track is a file, or a region of one.
    """

    index: FileIndex
    files: dict[str, list[str]] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    label_of: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)

    def read(self, table: TableFile, columns: Columns, *, below: str) -> None:
        """Add the rows of a table whose names are relative to the folder `below`.

        Raises
        ------
        SettingsError
            If a file or region has two labels or sides, or a side, start or end is unusable.
        """
        for line, (name, label, group, split, subset, start, end) in table.rows(columns.numbers):
            if not label or (columns.subsets and subset not in columns.subsets):
                continue
            where = f"--labels {table.path}, line {line}"
            file = self.index.find(f"{below}/{name}" if below else name, where)
            if file is None:
                self.unmatched.append(name)
                continue
            region = _region(start, end, where)
            track = file if region is None else f"{file}#{region}"
            if region is not None:
                self.regions[track] = region
            if track not in self.label_of:
                self.files.setdefault(file, []).append(track)
            _set_once(self.label_of, track, normalised(label), f"{where}: {name!r} has the label")
            if group:
                self.groups[track] = normalised(group)
            if split:
                side = side_of(split)
                if side is None:
                    raise SettingsError(
                        f"{where}: {split!r} is not a side of a partition; write {known_words()}, or the"
                        " number of a fold"
                    )
                _set_once(self.splits, track, side, f"{where}: {name!r} is in")

    def tracks_of(self, file: SourceFile) -> list[SourceFile]:
        """Return the labelled tracks of a file: itself, its regions, or nothing."""
        return [
            file.part(self.regions[track], self.label_of[track])
            if track in self.regions
            else replace(file, label=self.label_of[track])
            for track in self.files.get(file.track_id, ())
        ]


def _region(start: str, end: str, where: str) -> Region | None:
    """Make a region of the cells of a row; None if both are empty."""
    if not start and not end:
        return None
    start_s, end_s = _seconds(start or "0", where), _seconds(end, where) if end else None
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise SettingsError(f"{where}: a region from {start or 0} s to {end} s; end must be above start")
    return Region(start_s, end_s) if start_s or end_s is not None else None


def _seconds(text: str, where: str) -> float:
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise SettingsError(f"{where}: {text!r} is not a time in seconds")
    return seconds


def _set_once(values: dict[str, str], track: str, value: str, what: str) -> None:
    if values.setdefault(track, value) != value:
        raise SettingsError(f"{what} {value!r}, but {values[track]!r} above")
