"""Find a collection by its folders, a table of labels or tags, and report what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from data.audio.spectrogram_images import SUFFIXES
from data.collection.groups import match_groups
from data.collection.label_table import find_metadata, label_files
from data.collection.scan import Scan, require_genres, scan_all, scan_folder, sides_by_folder
from data.collection.source_file import SourceFile
from data.collection.tags import TagValues, read_tag
from data.errors import SettingsError


@dataclass(frozen=True)
class Layout:
    """How labels and groups of a folder of audio are found.

    Attributes
    ----------
    labels : Path, optional
        Table of labels; by default the folders are the genres, unless there is an audiofolder's metadata.
    label_column, group_column, split_column, subset : str, optional
        See `data.collection.label_table.label_files`.
    labels_from : str, optional
        Tag that holds the genre.
    groups : str, optional
        Table of groups.
    groups_from : str, optional
        Tag that holds the group, or ``folder``.
    flat, merge_labels, min_tracks
        See `data.collection.scan.scan_folder`.
    """

    labels: Path | None = None
    label_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    subset: str | None = None
    labels_from: str | None = None
    groups: str | None = None
    groups_from: str | None = None
    flat: bool = False
    merge_labels: bool = False
    min_tracks: int = 1


@dataclass(frozen=True)
class Collected:
    """A collection.

    Attributes
    ----------
    files : list of SourceFile
        The files, sorted by track.
    groups : dict of str to str or None
        Group of each track that has one; None if the user gives no groups, so that a cache keeps its own.
    splits : dict of str to str or None
        Side of each track in the partition that came with the files; None if there is no partition.
    notes : list of str
        What does not fit, with counts and examples; errors with ``--strict``.
    warnings : list of str
        What is probably not meant.
    """

    files: list[SourceFile]
    groups: dict[str, str] | None = None
    splits: dict[str, str] | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def collect(folder: Path, layout: Layout) -> Collected:
    """Find the files of a folder of audio, with their labels and groups.

    Raises
    ------
    SettingsError
        If the folder or a table cannot be used, or options contradict each other.
    """
    if layout.groups and layout.groups_from:
        raise SettingsError("--groups and --groups-from: give one of them")
    if layout.labels and layout.labels_from:
        raise SettingsError("--labels and --labels-from: give one of them")
    notes: list[str] = []
    groups: dict[str, str] | None = None
    folder = folder.expanduser()
    tables = [layout.labels] if layout.labels else []
    if not tables and layout.labels_from is None and folder.is_dir():
        tables = find_metadata(folder)
    for option, value in (
        ("--label-column", layout.label_column),
        ("--group-column", layout.group_column),
        ("--split-column", layout.split_column),
        ("--subset", layout.subset),
    ):
        if value and not tables:
            raise SettingsError(f"{option} {value}: needs --labels FILE")
    if tables:
        labelled = label_files(
            folder,
            tables,
            label_column=layout.label_column,
            group_column=layout.group_column,
            split_column=layout.split_column,
            subset=layout.subset,
            merge_labels=layout.merge_labels,
            min_tracks=layout.min_tracks,
        )
        scan, groups, splits = labelled.scan, labelled.groups or None, labelled.splits
        notes += [f"labels: {text}" for text in (labelled.summary(),) if text]
    elif layout.labels_from is not None:
        scan = scan_all(folder, "--audio")
        tags = read_tag(scan.files, layout.labels_from)
        scan = _with_labels(scan, tags)
        splits = sides_by_folder(scan.root, scan.files)
        notes += [text for text in (tags.summary(layout.labels_from),) if text]
    else:
        scan = scan_folder(
            folder, flat=layout.flat, merge_labels=layout.merge_labels, min_tracks=layout.min_tracks
        )
        splits = sides_by_folder(scan.root, scan.files)
    notes += scan.notes()
    if layout.groups:
        named = match_groups(layout.groups, {file.file_id for file in scan.files})
        groups = {
            file.track_id: named.groups[file.file_id] for file in scan.files if file.file_id in named.groups
        }
        if not named.is_complete:
            notes.append(f"--groups {layout.groups}: {named.summary()}")
    elif layout.groups_from:
        tags = read_tag(scan.files, layout.groups_from)
        if not tags.values:
            raise SettingsError(f"--groups-from {layout.groups_from}: no file has this tag")
        groups = tags.values
        notes += [text for text in (tags.summary(layout.groups_from),) if text]
    regions = [file for file in scan.files if file.region is not None]
    if regions:
        # Regions of a file belong together unless the user says otherwise.
        groups = {file.track_id: file.file_id for file in regions} | (groups or {})
    return Collected(scan.files, groups, splits or None, notes, scan.warnings())


def collect_images(folder: Path, groups: str | None) -> Collected:
    """Find the spectrogram images of a folder of genre folders, with the groups of a table.

    Raises
    ------
    SettingsError
        If the folder or the table cannot be used.
    """
    scan = scan_folder(folder, option="--images", inner="images_original", suffixes=SUFFIXES)
    notes = scan.notes()
    group_of = None
    if groups:
        matched = match_groups(groups, [file.track_id for file in scan.files])
        group_of = matched.groups
        if not matched.is_complete:
            notes.append(f"--groups {groups}: {matched.summary()}")
    return Collected(scan.files, group_of, notes=notes, warnings=scan.warnings())


def _with_labels(scan: Scan, tags: TagValues) -> Scan:
    tagged = [file for file in scan.files if file.track_id in tags.values]
    files = [replace(file, label=tags.values[file.track_id]) for file in tagged]
    scan = replace(scan, files=files)
    require_genres(scan, "--labels-from")
    return scan
