"""Find the files of a collection: one folder per genre, with any folders of artists and albums inside."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.audio.decode import SUFFIXES
from data.cache.partition import is_partition, side_of
from data.collection.ignored import Ignored
from data.collection.source_file import SourceFile, below, source_file
from data.collection.walk import entries_of, has_files, is_folder, musical_folders, subfolders, walk
from data.errors import SettingsError
from data.io.folder import printable
from data.io.names import label_key, normalised, similar_labels

_MAX_ROOT_DEPTH = 4
"""Maximum number of nested folders from the given one to the genre folders."""


@dataclass(frozen=True)
class Scan:
    """The files of a folder.

    Attributes
    ----------
    root : Path
        The genre folders' parent: the given folder, or one below.
    files : list of SourceFile
        Audio files, sorted by track.
    ignored : Ignored
        Other files by ending, and linked folders.
    empty : list of str
        Genre folders without a usable file.
    """

    root: Path
    files: list[SourceFile]
    ignored: Ignored = field(default_factory=Ignored)
    empty: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Summarise the ignored files.

        Returns
        -------
        str
            Such as ``120 .mid (such as rock/a.mid); no usable file in jazz``; empty if nothing is ignored.
        """
        parts = [text for text in (self.ignored.summary(),) if text]
        if self.empty:
            parts.append(f"no usable file in {', '.join(self.empty)}")
        return "; ".join(parts)

    def notes(self) -> list[str]:
        """Lines for the report: `summary`, if it is not empty."""
        summary = self.summary()
        return [f"ignored: {summary}"] if summary else []

    def warnings(self) -> list[str]:
        """Describe genres that are probably not what the user means."""
        labels = {file.label for file in self.files}
        texts = [
            f"{' and '.join(repr(name) for name in group)} are separate genres; --merge-labels joins them"
            for group in similar_labels(labels)
        ]
        if labels and all(label.isdigit() for label in labels):
            texts.append(
                f"all genres are numbers ({', '.join(sorted(labels)[:3])}, ...): are these folders genres?"
            )
        return texts


def scan_folder(
    folder: Path,
    *,
    option: str = "--audio",
    inner: str = "genres_original",
    suffixes: Iterable[str] = SUFFIXES,
    flat: bool = False,
    merge_labels: bool = False,
    min_tracks: int = 1,
) -> Scan:
    """Find the files of a folder of genre folders.

    Parameters
    ----------
    folder : Path
        The genre folders' parent, or a folder that encloses it.
    option : str
        Option that named it, for the messages.
    inner : str
        Name of the genre folders' parent in the public download of GTZAN.
    suffixes : iterable of str
        Endings, in lower case, of the files to find.
    flat : bool
        Whether only files directly in the genre folders count; by default their subfolders are searched too.
    merge_labels : bool
        Whether to join genres that differ only in case, spaces or hyphens, under the most common spelling.
    min_tracks : int
        Genres with fewer files are left out.

    Raises
    ------
    SettingsError
        If the folder is missing or not a folder, or it has no such files, or files of one genre only.
    """
    endings = frozenset(suffixes)
    folder = folder.expanduser()
    if not folder.is_dir():
        raise SettingsError(f"{option} {folder}: no such folder; it must hold a folder for each genre")
    # Workers, perhaps on other nodes, have other working folders.
    folder = folder.absolute()
    try:
        root = _root(folder, inner, endings)
        scan = _scan_genres(root, endings, flat=flat)
    except OSError as error:
        raise SettingsError(
            f"{option} {error.filename or folder}: cannot be read ({error.strerror or error})"
        ) from error
    scan.files.sort(key=lambda file: file.track_id)
    scan = with_genres(scan, merge_labels=merge_labels, min_tracks=min_tracks)
    require_genres(scan, option, endings)
    return scan


def scan_all(folder: Path, option: str) -> Scan:
    """Find all audio files below a folder, whatever the folders are named; their labels are preliminary.

    Raises
    ------
    SettingsError
        If the folder is missing, or cannot be read.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise SettingsError(f"{option} {folder}: no such folder; it must hold the audio files")
    folder = folder.absolute()
    scan = Scan(folder, [])
    try:
        for entry in walk(folder, ignored=scan.ignored):
            ending = Path(entry.name).suffix.lower()
            if ending in SUFFIXES:
                scan.files.append(source_file(folder, entry))
            else:
                scan.ignored.add(ending or "without a suffix", below(folder, entry.path))
    except OSError as error:
        where = error.filename or folder
        raise SettingsError(f"{option} {where}: cannot be read ({error.strerror or error})") from error
    scan.files.sort(key=lambda file: file.track_id)
    return scan


def with_genres(scan: Scan, *, merge_labels: bool, min_tracks: int) -> Scan:
    """Join spellings of one genre if requested, and leave out genres with few files; see `scan_folder`."""
    files = _merged(scan.files) if merge_labels else scan.files
    counts = Counter(file.label for file in files)
    rare = sorted(label for label, count in counts.items() if count < min_tracks)
    if rare:
        kind = f"in genres with fewer than {min_tracks} files"
        scan.ignored.add(kind, ", ".join(rare), sum(counts[label] for label in rare))
    return replace(scan, files=[file for file in files if file.label not in rare])


def find_files(folder: Path) -> list[SourceFile]:
    """Audio files of a folder of genre folders, sorted; see `scan_folder`."""
    return scan_folder(folder).files


def _scan_genres(root: Path, endings: frozenset[str], *, flat: bool) -> Scan:
    scan = Scan(root, [])
    sides = _sides_with_genres(root, endings)
    for genre in filter(is_folder, _entries_of_all(sides or [root])):
        count = len(scan.files)
        for entry in walk(Path(genre.path), flat=flat, ignored=scan.ignored):
            ending = Path(entry.name).suffix.lower()
            if ending in endings:
                label = normalised(printable(genre.name)) if sides else None
                scan.files.append(source_file(root, entry, label))
            else:
                scan.ignored.add(ending or "without a suffix", below(root, entry.path))
        if len(scan.files) == count:
            scan.empty.append(printable(genre.name))
    return scan


def _sides_with_genres(root: Path, endings: frozenset[str]) -> list[Path]:
    """Return the folders ``train``, ``test`` and so on that enclose the genre folders, if there are any."""
    sides = partition_folders(root)
    for side in sides:
        if has_files(side, endings):
            raise SettingsError(
                f"{side}: its name is a side of a partition, not a genre, and its files have no labels;"
                " give a table with --labels, or rename the folder"
            )
    return sides


def _entries_of_all(folders: Iterable[Path]) -> list[os.DirEntry[str]]:
    return [entry for folder in folders for entry in entries_of(folder)]


def partition_folders(folder: Path) -> list[Path]:
    """Return the subfolders of a folder if their names are the sides of a partition, otherwise none.

    Hugging Face's audiofolder has such folders, ``train`` and ``test``.
    """
    folders = subfolders(folder)
    return folders if is_partition([path.name for path in folders]) else []


def sides_by_folder(folder: Path, files: Iterable[SourceFile]) -> dict[str, str]:
    """Return the side of each file by the first folder of its path; empty if the folders are no partition."""
    if not partition_folders(folder):
        return {}
    sides = {file.track_id: side_of(file.track_id.partition("/")[0]) for file in files}
    return {track: side for track, side in sides.items() if side is not None}


def _root(folder: Path, inner: str, endings: frozenset[str]) -> Path:
    """Genre folders' parent: the folder, or the one below that is named `inner` or encloses all music."""
    for _ in range(_MAX_ROOT_DEPTH):
        if (folder / inner).is_dir():
            return folder / inner
        musical = musical_folders(folder, endings)
        # One folder with all music encloses the genres, unless it holds files itself: then it is a genre.
        if len(musical) != 1 or has_files(musical[0], endings) or not musical_folders(musical[0], endings):
            return folder
        folder = musical[0]
    return folder


def _merged(files: list[SourceFile]) -> list[SourceFile]:
    """Give genres that differ only in spelling the most common spelling."""
    counts = Counter(file.label for file in files)
    spelling: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spelling.setdefault(label_key(label), label)
    return [replace(file, label=spelling[label_key(file.label)]) for file in files]


def require_genres(scan: Scan, option: str, endings: Iterable[str] = SUFFIXES) -> None:
    """Refuse a collection without files of at least two genres.

    Raises
    ------
    SettingsError
        If there are fewer, or the genres are the numbered folders of the Free Music Archive.
    """
    genres = sorted({file.label for file in scan.files})
    if not genres:
        kinds = " ".join(sorted(endings))
        raise SettingsError(
            f"{option} {scan.root}: no genre folder with a file in it ({kinds}); expected GENRE/FILE"
        )
    if len(genres) == 1:
        raise SettingsError(
            f"{option} {scan.root}: only one genre ({genres[0]}); a classifier needs at least two"
        )
    if all(len(genre) == 3 and genre.isdigit() for genre in genres):
        raise SettingsError(
            f"{option} {scan.root}: the folders {genres[0]}, {genres[1]}, ... are numbers, not genres;"
            " for the Free Music Archive, give its table with --labels tracks.csv"
        )
