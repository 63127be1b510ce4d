"""Parts and an older cache put together to a whole one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from data.analysis import analysed_schema
from data.cache import CacheInfo
from data.columns import FEATURES
from data.duplicates import LANDMARK, near_duplicates, united_groups
from data.errors import CacheError
from data.files import Folder
from data.parameters import Parameters
from data.scan import Found
from data.writing import OK, cache_fingerprint, feature_schema, versions, write_info

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Parts:
    """Parts that workers wrote and that no cache holds yet.

    Attributes
    ----------
    folder : Folder
        Where they lie; their names are in the order in which they were planned.
    """

    folder: Folder

    def names(self) -> list[str]:
        """Names of the parts, oldest first."""
        return [name for name in self.folder.names() if name.endswith(".parquet")]

    def next_number(self) -> int:
        """Return the number that comes after all that are there."""
        return max((int(name.partition("-")[0]) + 1 for name in self.names()), default=0)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of each part."""
        for name in self.names():
            yield self.folder.read_table(name).select(list(columns))


def assemble(
    folder: Folder,
    parts: Parts,
    files: Sequence[Found],
    groups: Mapping[str, str],
    parameters: Parameters,
    old: pa.Table | None,
    *,
    source: Literal["audio", "demo", "images"] = "audio",
) -> CacheInfo:
    """Write ``features.parquet``, ``manifest.parquet`` and then ``cache.json``.

    Rows are sorted by track and segment, so that the same files give the same cache, however many runs it
    took.

    Parameters
    ----------
    folder : Folder
        The cache.
    parts : Parts
        What was analysed since; a later part counts for more than an earlier one and than `old`.
    files : sequence of Found
        The files there are; what the cache holds of others is dropped.
    groups : mapping of str to str
        Group of each track that was given one.
    parameters : Parameters
        How the audio was analysed.
    old : Table or None
        Manifest of the cache that is there.
    source : str
        ``"audio"``, ``"demo"`` where the files were synthesised, or ``"images"`` where they are pictures.

    Raises
    ------
    CacheError
        If fewer than two genres have a usable file.
    """
    manifest = _manifest(parts, files, groups, old)
    usable = sorted({row for row, status in _pairs(manifest, "label", "status") if status == OK})
    if len(usable) < 2:
        raise CacheError(
            f"--cache {folder.uri}: {len(usable)} genres have a usable file"
            f" (of {len(files)} files), at least two are needed; the first reason: {_first_reason(manifest)}"
        )
    if source != "images":
        folder.write_table("features.parquet", _features(folder, parts, manifest, old))
    folder.write_table("manifest.parquet", manifest)
    info = CacheInfo(
        source=source,
        synthetic=source == "demo",
        parameters=parameters.model_dump(),
        fingerprint=cache_fingerprint(manifest, parameters),
        versions=versions(),
    )
    write_info(folder, info)
    return info


def _pairs(table: pa.Table, first: str, second: str) -> Iterator[tuple[str, str]]:
    return zip(table[first].to_pylist(), table[second].to_pylist(), strict=True)


def _first_reason(manifest: pa.Table) -> str:
    return next((reason for reason in manifest["reason"].to_pylist() if reason), "none")


def _manifest(
    parts: Parts, files: Sequence[Found], groups: Mapping[str, str], old: pa.Table | None
) -> pa.Table:
    """One row a file, sorted by track, with where each file is now and with groups that hold copies."""
    import pyarrow as pa

    names = [name for name in analysed_schema().names if name != "features"]
    tables = [*([] if old is None else [old]), *parts.tables(names)]
    table = pa.concat_tables(tables)
    latest = {track: row for row, track in enumerate(table["track_id"].to_pylist())}
    there = sorted(files, key=lambda file: file.track_id)
    table = table.take(pa.array([latest[file.track_id] for file in there], type=pa.int64()))
    given = [groups.get(file.track_id, file.track_id) for file in there]
    for name, values in {
        "path": [file.path for file in there],
        "bytes": [file.size for file in there],
        "mtime_ns": [file.mtime_ns for file in there],
        "group": united_groups(given, _copies(table)),
    }.items():
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, pa.array(values, type=table.schema.field(name).type))
    return table


def _copies(table: pa.Table) -> list[tuple[int, int]]:
    """Pairs of rows that hold one recording: the same samples, or landmarks that agree."""
    first: dict[str, int] = {}
    pairs = []
    for row, digest in enumerate(table["sha256"].to_pylist()):
        if digest is None:
            continue
        if first.setdefault(digest, row) != row:
            pairs.append((first[digest], row))
    distinct = sorted(first.values())
    marks = table["landmarks"].take(distinct).to_pylist()
    near = near_duplicates([np.frombuffer(sketch, dtype=LANDMARK) for sketch in marks])
    return pairs + [(distinct[a], distinct[b]) for a, b in near.tolist()]


def _features(folder: Folder, parts: Parts, manifest: pa.Table, old: pa.Table | None) -> pa.Table:
    """Features of all usable tracks, from the old cache where no part has them anew."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = dict(_pairs(manifest.filter(pc.equal(manifest["status"], OK)), "track_id", "part"))
    tables = []
    for part in parts.tables(["track_id", "part", "features"]):
        rows = [row for row in part.to_pylist() if wanted.get(row["track_id"]) == row["part"]]
        tables += [_rows_of_part(rows)] if rows else []
    if old is not None:
        new = {track for table in tables for track in table["track_id"].to_pylist()}
        kept = pa.array([track for track in wanted if track not in new], type=pa.string())
        table = folder.read_table("features.parquet")
        tables.append(table.filter(pc.is_in(table["track_id"], kept)).cast(feature_schema()))
    table = pa.concat_tables(tables).sort_by([("track_id", "ascending"), ("segment", "ascending")])
    row_of = pc.index_in(table["track_id"], manifest["track_id"])
    for name in ("label", "group"):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, manifest[name].take(row_of))
    return table


def _rows_of_part(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    import pyarrow as pa

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
