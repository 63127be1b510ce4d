"""GTZAN from a published feature table, for users without the audio: of whole clips or of segments.

What it is
    1,000 excerpts of 30 s at 22,050 Hz, mono: 100 of each of ten genres. The table has one row per excerpt:
    ``filename``, ``length`` in samples, the 57 columns of `feature_names.FEATURES`, and ``label``.
    ``features_3_sec.csv`` has about ten rows per excerpt, one per segment of 3 s, with names such as
    ``blues.00000.0.wav``. They are segments of one track here, so that no split separates them.
Where it comes from
    G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE Transactions on Speech
    and Audio Processing 10(5), 2002. The table came later, with a public copy of the audio; its file names
    end in ``.au`` in some copies and in ``.wav`` in others.
Licence
    None is stated. The excerpts were taken from records, radio and CDs, and remain their owners'; neither
    the audio nor the table is part of this project.
Known faults
    B. L. Sturm, "The GTZAN dataset: its contents, its faults, their effects on evaluation, and its future
    use", 2013: excerpts that occur twice, several excerpts of one recording or artist, wrong labels,
    distortion. Excerpts with equal features are put into one group here, so that no split separates them.
    Artists are not in the table: name them with ``data.prepare --groups FILE``.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data.analysis.feature_names import FEATURES
from data.analysis.landmarks import united_groups
from data.analysis.parameters import Parameters
from data.cache.cache import Cache
from data.cache.writer import GIVEN_GROUP, OK, write_features
from data.collection.groups import kept_groups, read_groups
from data.errors import CacheError
from data.io.folder import Folder
from data.io.s3_errors import bucket_failure

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_RATE = 22050
"""Rate in Hz of the audio that the table was made from."""

_SEGMENT = re.compile(r"(?P<track>.+\.\d{5})\.(?P<segment>\d+)(?P<ending>\.\w+)$")
"""Name of a segment: that of its track, with the number of the segment before the ending."""
_SEGMENT_SECONDS = 3.0


def prepare(csv: str | Path, cache: str, groups: str | None = None) -> None:
    """Write a cache from the published table of features.

    Parameters
    ----------
    csv : str or Path
        The table as published: ``filename``, ``length`` (samples), the 57 features, ``label``, in any order;
        other columns are ignored.
    cache : str
        Folder or URI of the cache.
    groups : str, optional
        CSV file of groups, see `groups.match_groups`; those that the cache was made with, by default.

    Raises
    ------
    CacheError
        If the file is missing or is not such a table: a column is missing, a number is not a number or not
        finite, a file name occurs twice, there is no row, or only one genre, or rows of whole clips and of
        segments are mixed. If the cache holds data of another source, or was made from the other table, or
        cannot be written.
    SettingsError
        If the file of groups cannot be used.
    """
    folder = Folder.at(cache)
    if folder.exists("cache.json"):
        source = Cache.open(cache).info.source
        if source != "features-csv":
            raise CacheError(f"--cache {cache}: holds data of another source ({source}); name a new folder")
    table = read(csv)
    parameters = Parameters(segment_seconds=float(table["segment_seconds"].iloc[0]))
    _require_same_length(folder, parameters)
    tracks = table.drop_duplicates("track_id").reset_index(drop=True)
    names = tracks["track_id"].tolist()
    named = kept_groups(folder) if groups is None else read_groups(groups, names)
    row_of = {track: row for row, track in enumerate(names)}
    equal = [(row, row_of[first]) for row, first in enumerate(tracks["group"])]
    tracks["group"] = united_groups([named.get(track, track) for track in names], equal)
    tracks[GIVEN_GROUP] = [named.get(track) for track in names]
    features = table.drop(columns="group").merge(tracks[["track_id", "group"]], on="track_id")
    samples = table.groupby("track_id")["length"].sum()
    manifest = tracks[["track_id", "path", "label", "group", "sha256", GIVEN_GROUP]].assign(
        duration_s=samples.loc[names].to_numpy() / SAMPLE_RATE,
        sample_rate=SAMPLE_RATE,
        status=OK,
        reason="",
    )
    try:
        write_features(
            cache, features=features, manifest=manifest, source="features-csv", parameters=parameters
        )
    except OSError as error:
        raise bucket_failure(error) or CacheError(
            f"--cache {cache}: cannot be written ({error.strerror or error}); fix that and rerun"
        ) from error


def _require_same_length(folder: Folder, parameters: Parameters) -> None:
    """Refuse to replace a cache of whole clips by one of segments, or the reverse."""
    if not folder.exists("cache.json"):
        return
    before = Cache.open(folder.uri).info.parameters.get("segment_seconds")
    if before != parameters.segment_seconds:
        raise CacheError(
            f"--cache {folder.uri}: made from a table of {before:g} s segments, but this one has segments of"
            f" {parameters.segment_seconds:g} s; name a new folder"
        )


def read(path: str | Path) -> pd.DataFrame:
    """Read and check the published table.

    Parameters
    ----------
    path : str or Path
        The CSV file.

    Returns
    -------
    DataFrame
        One row per excerpt or segment, sorted by ``track_id`` and ``segment``: ``track_id``
        (``blues/blues.00000.au``), ``segment`` (from 0), ``segment_seconds``, ``path`` (the track's file
        name), ``label``, ``group`` (the first of the tracks that have equal features), ``sha256`` (hex digest
        of the features of the track), ``length`` in samples and the 57 features as float64.

    Raises
    ------
    CacheError
        As for `prepare`.
    """
    import pandas as pd

    header, rows = _rows(path)
    at = {column: header.index(column) for column in ("filename", "label", "length", *FEATURES)}
    keys = _keys(path, [(line, row[at["filename"]], row[at["label"]]) for line, row in rows])
    labels = [row[at["label"]] for _, row in rows]
    if len(set(labels)) < 2:
        raise CacheError(f"{path}: one genre only ({labels[0]}); a classifier needs at least two")

    X = np.array(
        [[_number(path, line, column, row[at[column]]) for column in FEATURES] for line, row in rows]
    )
    lengths = [_number(path, line, "length", row[at["length"]]) for line, row in rows]
    for (line, _), length in zip(rows, lengths, strict=True):
        if length <= 0:
            raise CacheError(f"{path}, line {line}: length is {length:g}; it must be above 0")
    segmented = keys[0].segment is not None
    table = pd.DataFrame(X, columns=list(FEATURES))
    table = table.assign(
        track_id=[key.track_id for key in keys],
        segment=[key.segment or 0 for key in keys],
        segment_seconds=_SEGMENT_SECONDS if segmented else Parameters().segment_seconds,
        path=[PurePosixPath(key.track_id).name for key in keys],
        label=labels,
        length=lengths,
    ).sort_values(["track_id", "segment"], ignore_index=True)
    # Some tracks lack a segment in the published table.
    table["segment"] = table.groupby("track_id").cumcount()
    rows_of = table.groupby("track_id").indices
    values = table[list(FEATURES)].to_numpy()
    digest = {track: hashlib.sha256(values[at].tobytes()).hexdigest() for track, at in rows_of.items()}
    table["sha256"] = table["track_id"].map(digest)
    return table.assign(group=table.groupby("sha256")["track_id"].transform("first"))


class _Key(NamedTuple):
    """Track of a row and number of its segment; None for a row of a whole clip."""

    track_id: str
    segment: int | None


def _keys(path: str | Path, rows: Sequence[tuple[int, str, str]]) -> list[_Key]:
    """Keys of rows from their line, file name and label."""
    keys: list[_Key] = []
    line_of: dict[_Key, int] = {}
    label_of: dict[str, str] = {}
    for line, name, label in rows:
        if not name or not label:
            raise CacheError(f"{path}, line {line}: no {'label' if name else 'filename'}")
        match = _SEGMENT.fullmatch(name)
        clip = f"{match['track']}{match['ending']}" if match else name
        key = _Key(f"{label}/{clip}", int(match["segment"]) if match else None)
        if keys and (key.segment is None) != (keys[0].segment is None):
            kinds = ("a whole clip", "a segment") if match is None else ("a segment", "a whole clip")
            raise CacheError(
                f"{path}, line {line}: {name!r} is {kinds[0]}, but line {rows[0][0]} is {kinds[1]}; take"
                " features_30_sec.csv or features_3_sec.csv as published"
            )
        if key in line_of:
            raise CacheError(
                f"{path}, line {line}: {name!r} is also in line {line_of[key]}; keep one of them"
            )
        if match and label_of.setdefault(clip, label) != label:
            raise CacheError(
                f"{path}, line {line}: {name!r} has the label {label!r}, but another segment of {clip} has"
                f" {label_of[clip]!r}"
            )
        line_of[key] = line
        keys.append(key)
    return keys


def _rows(path: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read the header, and the line number and fields of each row that is not blank."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [column.strip() for column in next(reader, [])]
            rows = [(reader.line_num, [field.strip() for field in row]) for row in reader if row]
    except FileNotFoundError as error:
        raise CacheError(f"{path}: no such file; give the path of features_30_sec.csv") from error
    except OSError as error:
        raise CacheError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CacheError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    for column in ("filename", "length", *FEATURES, "label"):
        if column not in header:
            raise CacheError(f"{path}: no column {column!r}; take features_30_sec.csv as published")
        if header.count(column) > 1:
            raise CacheError(f"{path}: column {column!r} occurs {header.count(column)} times; keep one")
    if not rows:
        raise CacheError(f"{path}: no rows under the header; take features_30_sec.csv as published")
    for line, row in rows:
        if len(row) != len(header):
            raise CacheError(
                f"{path}, line {line}: {len(row)} fields where the header has {len(header)};"
                " was it cut short?"
            )
    return header, rows


def _number(path: str | Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise CacheError(f"{path}, line {line}, column {column}: {text!r} is not a number") from error
    if not math.isfinite(value):
        raise CacheError(f"{path}, line {line}, column {column}: {text} is not a finite number")
    return value
