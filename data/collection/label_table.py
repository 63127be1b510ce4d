"""Labels from a table: a CSV by hand, FMA's ``tracks.csv``, or the metadata of a Hugging Face audiofolder.

The files are looked for below the collection's folder: by the path or the name that the table states, with or
without its ending, or by a track's number, as in FMA's ``000/000002.mp3``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.cache.partition import contradiction
from data.collection.file_index import FileIndex
from data.collection.label_rows import FILE_COLUMNS, LABEL_COLUMNS, Columns, TableContent
from data.collection.scan import (
    Scan,
    partition_folders,
    require_genres,
    scan_all,
    sides_by_folder,
    with_genres,
)
from data.errors import SettingsError
from data.io.table_file import TableFile

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
        sides, a side or a region is unusable, or fewer than two genres have a file.
    """
    scan = scan_all(folder, "--audio")
    folder = scan.root
    tables = [labels] if isinstance(labels, Path) else list(labels)
    content = TableContent(FileIndex(file.track_id for file in scan.files))
    for path in tables:
        table = TableFile.open(path, option="--labels", error=SettingsError)
        # The table itself may be among the files.
        if table.path.absolute().is_relative_to(folder):
            scan.ignored.remove(table.path.suffix.lower())
        content.read(
            table,
            Columns.of(table, label_column, group_column, split_column, subset),
            below=path.absolute().parent.relative_to(folder).as_posix() if len(tables) > 1 else "",
        )
    option = f"--labels {' '.join(map(str, tables))}"
    reason = contradiction(content.splits.values()) if content.splits else None
    if reason is not None:
        raise SettingsError(f"{option}: its partition cannot be used: {reason}")
    unlabelled = [file.track_id for file in scan.files if file.track_id not in content.files]
    files = [track for file in scan.files for track in content.tracks_of(file)]
    files.sort(key=lambda file: file.track_id)
    if not files:
        example = f" (it has {content.unmatched[0]!r})" if content.unmatched else ""
        raise SettingsError(
            f"{option}: labels none of the {len(scan.files)} audio files below {folder}{example}"
        )
    scan = with_genres(replace(scan, files=files), merge_labels=merge_labels, min_tracks=min_tracks)
    require_genres(scan, "--labels")
    splits = content.splits or sides_by_folder(folder, scan.files)
    return LabelledFiles(scan, content.groups, splits, unlabelled, content.unmatched)
