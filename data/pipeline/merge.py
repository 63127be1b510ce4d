"""Merge parts and an older cache into a complete cache in constant memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.analysis.feature_names import FEATURES
from data.analysis.landmarks import LANDMARK, united_groups
from data.analysis.parameters import Parameters
from data.audio.decode import DECODING
from data.cache.fingerprints import collection_fingerprint, preparation_fingerprint
from data.cache.format import FINGERPRINT, CacheInfo
from data.cache.partition import GIVEN_SPLIT
from data.cache.writer import (
    GIVEN_GROUP,
    OK,
    feature_schema,
    manifest_schema,
    versions,
    write_info,
)
from data.collection.near_duplicates import near_duplicates
from data.collection.source_file import SourceFile
from data.errors import CacheError
from data.io.folder import Folder, printable
from data.pipeline.parts import NewestRows, Parts, SortedRows
from data.pipeline.worker import manifest_extras

_GIVEN = (GIVEN_GROUP, GIVEN_SPLIT)
"""Last columns of a manifest: what the user gave for a file."""


def assemble(
    folder: Folder,
    parts: Parts,
    files: Sequence[SourceFile],
    groups: Mapping[str, str],
    parameters: Parameters,
    *,
    splits: Mapping[str, str] | None = None,
    with_old: bool,
    source: Literal["audio", "demo", "images"] = "audio",
    decoding: int = DECODING,
) -> CacheInfo:
    """Write ``features.parquet`` and ``manifest.parquet``, then ``cache.json``.

    Both tables store the fingerprint, so an interrupted write is detected. Rows are sorted by track and
    segment, so the same files produce the same cache in any number of runs.

    Parameters
    ----------
    folder : Folder
        The cache.
    parts : Parts
        Newly analysed files; a later part overrides an earlier one and the old cache.
    files : sequence of SourceFile
        All files of the collection; rows of other files are dropped.
    groups : mapping of str to str
        Group of each track; a track without one is its own group.
    parameters : Parameters
        Parameters of the analysis.
    splits : mapping of str to str, optional
        Side of each track that a given partition names; see `data.cache.partition`.
    with_old : bool
        Whether an old cache exists whose tables belong together.
    source : str
        ``"audio"``, ``"demo"`` for synthesised files, or ``"images"``.
    decoding : int
        Version of the choice of decoders that read the files; see `data.audio.decode.DECODING`.

    Raises
    ------
    CacheError
        If fewer than two genres have a usable file.
    """
    ordered = sorted(files, key=lambda file: file.track_id)
    rows = NewestRows([file.track_id for file in ordered], folder, parts, with_old=with_old)
    usable, digests = _survey(rows)
    if len(usable.genres) < 2:
        counted = "1 genre has" if usable.genres else "no genre has"
        raise CacheError(
            f"--cache {folder.uri}: {counted} a usable file"
            f" (of {len(files)} files), at least two are needed; the first reason: {usable.first_reason}"
        )
    original_groups = [groups.get(track, track) for track in rows.track_ids]
    merged_groups = united_groups(original_groups, _copies(rows, digests))
    schemas = {"manifest.parquet": _schema()}
    if source != "images":
        # This table is renamed first, so that every track of a manifest has features.
        schemas = {"features.parquet": feature_schema(), **schemas}
    # Both are written completely before the first is renamed, because the old tables are still read.
    with folder.writing_all(list(schemas)) as streams, contextlib.ExitStack() as open_tables:
        writers = [
            open_tables.enter_context(pq.ParquetWriter(stream, schema))
            for stream, schema in zip(streams, schemas.values(), strict=True)
        ]
        if source != "images":
            old = SortedRows(folder.parquet("features.parquet")) if with_old else None
            for table in _features(rows, merged_groups, old):
                _write(writers[0], table)
        given_columns = {
            GIVEN_GROUP: [groups.get(track) for track in rows.track_ids],
            GIVEN_SPLIT: [(splits or {}).get(track) for track in rows.track_ids],
        }
        manifest = _written(writers[-1], _manifest(rows, ordered, merged_groups, given_columns))
        collection = collection_fingerprint(manifest)
        info = CacheInfo(
            source=source,
            synthetic=source == "demo",
            parameters=parameters.model_dump(),
            fingerprint=preparation_fingerprint(parameters.model_dump(), collection),
            collection=collection,
            decoding=decoding,
            versions=versions(),
        )
        for writer in writers:
            writer.add_key_value_metadata({FINGERPRINT: info.fingerprint})
    write_info(folder, info)
    return info


@dataclass
class _Usable:
    """Genres with a usable file, and the first reason why a file is not usable."""

    genres: set[str]
    first_reason: str = "none"


def _survey(rows: NewestRows) -> tuple[_Usable, np.ndarray]:
    """Scan all rows; also return the digest of each track's samples, empty if unknown."""
    usable = _Usable(set())
    digests = np.zeros(len(rows.track_ids), dtype="S32")
    start = 0
    for table in rows.chunks(["label", "status", "reason", "sha256"]):
        labels, states, reasons, samples = (table[name].to_pylist() for name in table.column_names)
        usable.genres |= {label for label, status in zip(labels, states, strict=True) if status == OK}
        if usable.first_reason == "none":
            usable.first_reason = next((reason for reason in reasons if reason), "none")
        digests[start : start + len(table)] = [bytes.fromhex(digest or "") for digest in samples]
        start += len(table)
    return usable, digests


def _copies(rows: NewestRows, digests: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows of the same recording: equal samples, or matching landmarks."""
    order = np.argsort(digests, kind="stable")
    is_repeat = np.zeros(len(order), dtype=bool)
    is_repeat[1:] = (digests[order][1:] == digests[order][:-1]) & (digests[order][1:] != b"")
    first = order[np.maximum.accumulate(np.where(is_repeat, 0, np.arange(len(order))))]
    pairs = list(zip(first[is_repeat].tolist(), order[is_repeat].tolist(), strict=True))
    # Only the first of several exact copies is compared, because the others would add the same pairs.
    repeated = np.zeros(len(order), dtype=bool)
    repeated[order[is_repeat]] = True

    def sketches() -> Iterator[list[np.ndarray]]:
        start = 0
        for table in rows.chunks(["landmarks"]):
            marks = table["landmarks"].to_pylist()
            skip = repeated[start : start + len(marks)]
            yield [
                np.frombuffer(b"" if is_skipped else mark or b"", dtype=LANDMARK)
                for mark, is_skipped in zip(marks, skip, strict=True)
            ]
            start += len(marks)

    return pairs + [(a, b) for a, b in near_duplicates(sketches).tolist()]


def _schema() -> pa.Schema:
    return pa.schema([*manifest_schema(), *manifest_extras(), *((name, pa.string()) for name in _GIVEN)])


def _write(writer: pq.ParquetWriter, table: pa.Table) -> None:
    writer.write_table(table.select(writer.schema.names).cast(writer.schema))


def _written(writer: pq.ParquetWriter, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for table in tables:
        _write(writer, table)
        yield table


def _manifest(
    rows: NewestRows,
    ordered: Sequence[SourceFile],
    groups: Sequence[str],
    given_columns: Mapping[str, Sequence[str | None]],
) -> Iterator[pa.Table]:
    """Yield the manifest, sorted by track, with current paths and merged groups."""
    start = 0
    schema = _schema()
    for table in rows.chunks([name for name in schema.names if name not in given_columns]):
        # Older manifests lack some columns.
        for name in set(schema.names) - {*given_columns, *table.column_names}:
            table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
        files = ordered[start : start + len(table)]
        for name, values in {
            "path": [printable(file.path) for file in files],
            "bytes": [file.size for file in files],
            "mtime_ns": [file.mtime_ns for file in files],
            "group": groups[start : start + len(table)],
        }.items():
            column = table.schema.get_field_index(name)
            table = table.set_column(column, name, pa.array(values, type=table.schema.field(name).type))
        for name, values in given_columns.items():
            table = table.append_column(name, pa.array(values[start : start + len(files)], type=pa.string()))
        start += len(files)
        yield table


def _features(rows: NewestRows, groups: Sequence[str], old: SortedRows | None) -> Iterator[pa.Table]:
    """Yield the features of all usable tracks, from the parts or the old cache."""
    start = 0
    for chunk in rows.chunks(["track_id", "label", "status", "features"]):
        # The old manifest has no features, so a chunk of its rows has no such column.
        if "features" not in chunk.column_names:
            chunk = chunk.append_column("features", pa.nulls(len(chunk), pa.binary()))
        keys = chunk.select(["track_id", "label"]).append_column(
            "group", pa.array(groups[start : start + len(chunk)])
        )
        start += len(chunk)
        usable = chunk.filter(pc.equal(chunk["status"], OK))
        new = usable.filter(pc.is_valid(usable["features"]))
        tables = [_rows_of_part(new.to_pylist())] if len(new) else []
        if old is not None:
            cached_tracks = usable.filter(pc.is_null(usable["features"]))["track_id"]
            table = old.up_to(chunk["track_id"][-1].as_py())
            tables.append(table.filter(pc.is_in(table["track_id"], cached_tracks)).cast(feature_schema()))
        if not tables:
            continue
        table = pa.concat_tables(tables).sort_by([("track_id", "ascending"), ("segment", "ascending")])
        row_of = pc.index_in(table["track_id"], keys["track_id"])
        for name in ("label", "group"):
            column = table.schema.get_field_index(name)
            table = table.set_column(column, name, keys[name].take(row_of))
        yield table


def _rows_of_part(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    tracks, segments, values = [], [], []
    for row in rows:
        X = np.frombuffer(row["features"], dtype=np.float64).reshape(-1, len(FEATURES))  # type: ignore[call-overload]
        tracks += [row["track_id"]] * len(X)
        segments += list(range(len(X)))
        values.append(X)
    stacked = np.concatenate(values)
    columns = {name: stacked[:, number] for number, name in enumerate(FEATURES)}
    keys = {"track_id": tracks, "segment": segments, "label": tracks, "group": tracks}
    return pa.table(keys | columns, schema=feature_schema())
