"""Labels from a table: a CSV by hand, FMA's ``tracks.csv``, or the metadata of a Hugging Face audiofolder.

The files are looked for below the collection's folder: by the path or the name that the table states, with or
without its ending, or by a track's number, as in FMA's ``000/000002.mp3``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from data.cache.partition import contradiction, known_words, side_of
from data.collection.scan import (
    Scan,
    partition_folders,
    require_genres,
    scan_all,
    sides_by_folder,
    with_genres,
)
from data.errors import SettingsError
from data.io.names import file_name, normalised
from data.io.table_file import TableFile

FILE_COLUMNS = ("file", "file_name", "path", "filename", "track_id")
LABEL_COLUMNS = ("label", "genre", "category", "class", "track.genre_top")
GROUP_COLUMNS = ("group", "artist", "album", "artist.id")
SPLIT_COLUMNS = ("split", "fold", "set.split")
_SUBSET_COLUMN = "set.subset"
_SUBSETS = ("small", "medium", "large", "full")
"""FMA's subsets; each holds the ones before it."""
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class LabelledFiles:
    """Files of a collection with labels from a table.

    Attributes
    ----------
    scan : Scan
        The files that the table labels, with their labels.
    groups : dict of str to str
        Group of each track that the table gives one.
    splits : dict of str to str
        Side of each track that the table gives one; see `data.cache.partition`.
    unlabelled : list of str
        Files that no row of the table labels.
    unmatched : list of str
        Names in the table that match no file.
    """

    scan: Scan
    groups: dict[str, str]
    splits: dict[str, str]
    unlabelled: list[str]
    unmatched: list[str]

    def summary(self) -> str:
        """Describe how many files and rows match, with examples; empty if all do."""
        parts = []
        if self.unlabelled:
            parts.append(f"{len(self.unlabelled)} files without a label, such as {self.unlabelled[0]}")
        if self.unmatched:
            parts.append(f"{len(self.unmatched)} rows match no file, such as {self.unmatched[0]}")
        return "; ".join(parts)


def find_metadata(folder: Path) -> list[Path]:
    """Return the metadata files of a Hugging Face audiofolder that state labels; empty if there are none.

    It has one file, or one in each of its folders ``train``, ``test`` and so on.
    """
    path = _metadata_of(folder)
    if path is not None:
        return [path]
    return [path for side in partition_folders(folder) if (path := _metadata_of(side)) is not None]


def _metadata_of(folder: Path) -> Path | None:
    for name in _METADATA:
        path = folder / name
        if path.is_file():
            table = TableFile.open(path, option="--labels", error=SettingsError)
            if table.column(LABEL_COLUMNS) is not None and table.column(FILE_COLUMNS) is not None:
                return path
    return None


def label_files(
    folder: Path,
    labels: Path | Sequence[Path],
    *,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    subset: str | None = None,
    merge_labels: bool = False,
    min_tracks: int = 1,
) -> LabelledFiles:
    """Find the files of a folder and give them the labels of a table.

    Parameters
    ----------
    folder : Path
        Folder with the audio files, in any subfolders.
    labels : Path or sequence of Path
        The table; see `data.io.table_file` for its formats. Of several tables, each names the files of its
        own folder.
    label_column, group_column, split_column : str, optional
        Names of columns, if they are not the usual ones.
    subset : str, optional
        Subset of FMA: ``small``, ``medium``, ``large`` or ``full``. Each holds the smaller ones.
    merge_labels, min_tracks
        See `data.collection.scan.scan_folder`.

    Raises
    ------
    SettingsError
        If the folder or the table cannot be read, a column is missing, a file has two labels or is on two
        sides, a side is unknown, or fewer than two genres have a file.
    """
    scan = scan_all(folder, "--audio")
    folder = scan.root
    tables = [labels] if isinstance(labels, Path) else list(labels)
    content = _Content(_Index(file.track_id for file in scan.files))
    for path in tables:
        table = TableFile.open(path, option="--labels", error=SettingsError)
        # The table itself may be among the files.
        if table.path.absolute().is_relative_to(folder):
            scan.ignored.subtract([table.path.suffix.lower()])
            scan = replace(scan, ignored=+scan.ignored)
        content.read(
            table,
            _Columns.of(table, label_column, group_column, split_column, subset),
            below=path.absolute().parent.relative_to(folder).as_posix() if len(tables) > 1 else "",
        )
    option = f"--labels {' '.join(map(str, tables))}"
    reason = contradiction(content.splits.values()) if content.splits else None
    if reason is not None:
        raise SettingsError(f"{option}: its partition cannot be used: {reason}")
    label_of = content.label_of
    unlabelled = [file.track_id for file in scan.files if file.track_id not in label_of]
    files = [replace(file, label=label_of[file.track_id]) for file in scan.files if file.track_id in label_of]
    if not files:
        example = f" (it has {content.unmatched[0]!r})" if content.unmatched else ""
        raise SettingsError(
            f"{option}: labels none of the {len(scan.files)} audio files below {folder}{example}"
        )
    scan = with_genres(replace(scan, files=files), merge_labels=merge_labels, min_tracks=min_tracks)
    require_genres(scan, "--labels")
    splits = content.splits or sides_by_folder(folder, scan.files)
    return LabelledFiles(scan, content.groups, splits, unlabelled, content.unmatched)


@dataclass(frozen=True)
class _Columns:
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
    ) -> _Columns:
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
            ),
            _SUBSETS[: _SUBSETS.index(subset) + 1] if subset else (),
        )


@dataclass
class _Content:
    """What tables say about the files of a collection."""

    index: _Index
    label_of: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)

    def read(self, table: TableFile, columns: _Columns, *, below: str) -> None:
        """Add the rows of a table whose names are relative to the folder `below`."""
        for line, (name, label, group, split, subset) in table.rows(columns.numbers):
            if not label or (columns.subsets and subset not in columns.subsets):
                continue
            where = f"--labels {table.path}, line {line}"
            track = self.index.find(f"{below}/{name}" if below else name, where)
            if track is None:
                self.unmatched.append(name)
                continue
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


def _set_once(values: dict[str, str], track: str, value: str, what: str) -> None:
    if values.setdefault(track, value) != value:
        raise SettingsError(f"{what} {value!r}, but {values[track]!r} above")


class _Index:
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
