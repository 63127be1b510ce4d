"""Store tensors in Parquet files, called shards.

A tensor is a FIXED_SIZE_BINARY value without compression, dictionary or statistics. Arrow's fixed-shape
tensors would be stored as nested lists, which are forty times slower to read. Shape and type are stored in
the field's metadata as ``shape`` (JSON) and ``dtype``. `data.cache.tensor_reader` reads whole caches.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.analysis.kinds import EMBEDDING_PREFIX, SPECTROGRAM_KINDS
from data.errors import CacheError
from data.io.folder import Folder
from data.io.s3_errors import bucket_failure

_ROW_GROUP = 64
_ONE_PAGE = 1 << 30
"""Page size in bytes that no row group reaches, so that each is one page, as `memory_map` requires."""


@dataclass(frozen=True)
class TrackTensors:
    """Tensors of one track.

    Attributes
    ----------
    track_id, label : str
        The track and its genre.
    X : ndarray, shape (n_windows, ...)
        One tensor per window.
    """

    track_id: str
    label: str
    X: np.ndarray


def write_shard(folder: Folder, name: str, tracks: Sequence[TrackTensors]) -> None:
    """Write tensors of tracks to a Parquet file; until `tidy_shards`, each track is its own group."""
    shape, dtype = tracks[0].X.shape[1:], tracks[0].X.dtype
    size = int(np.prod(shape)) * dtype.itemsize
    values = np.concatenate([track.X for track in tracks])
    repeated = [track for track in tracks for _ in track.X]
    tensor = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )
    about = {"shape": json.dumps(shape), "dtype": dtype.name}
    fields = [
        pa.field("track_id", pa.string()),
        pa.field("segment", pa.int32()),
        pa.field("label", pa.string()),
        pa.field("group", pa.string()),
        pa.field("tensor", pa.binary(size), metadata=about),
    ]
    columns: list[Any] = [
        [track.track_id for track in repeated],
        [number for track in tracks for number in range(len(track.X))],
        [track.label for track in repeated],
        [track.track_id for track in repeated],
        tensor,
    ]
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns[:4], fields[:4], strict=True)
    ]
    _write(folder, f"{name}.parquet", pa.table([*arrays, tensor], schema=pa.schema(fields)))


def _write(folder: Folder, name: str, table: pa.Table) -> None:
    with folder.writing(name) as stream:
        pq.write_table(
            table,
            stream,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            row_group_size=_ROW_GROUP,
            data_page_size=_ONE_PAGE,
        )


def tidy_shards(folder: Folder) -> None:
    """Delete shards that the manifest does not name, and update the groups in the others.

    Unfinished files of killed writers are deleted too.
    """
    kinds = [
        name for name in folder.names() if name in SPECTROGRAM_KINDS or name.startswith(EMBEDDING_PREFIX)
    ]
    if not kinds:
        return
    manifest = folder.read_table("manifest.parquet", ["track_id", "group", "part"])
    used = {f"{part}.parquet" for part in manifest["part"].to_pylist()}
    group_of_track = dict(zip(manifest["track_id"].to_pylist(), manifest["group"].to_pylist(), strict=True))
    for kind in kinds:
        shards = folder / kind
        shards.remove_unfinished()
        for name in shards.names():
            if name not in used:
                shards.remove(name)
                continue
            keys = read_shard(shards, name, ["track_id", "group"])
            current = [group_of_track.get(track, track) for track in keys["track_id"].to_pylist()]
            if current != keys["group"].to_pylist():
                table = read_shard(shards, name, None)
                column = table.schema.get_field_index("group")
                _write(shards, name, table.set_column(column, "group", [current]))


def read_shard(folder: Folder, name: str, columns: list[str] | None) -> pa.Table:
    """Read columns of a shard; None reads all.

    Raises
    ------
    CacheError
        If the shard is missing or damaged.
    """
    with damage_named(folder, name):
        return pq.read_table(
            f"{folder.path}/{name}", columns=columns, filesystem=folder.filesystem, memory_map=True
        )


def tensors_of_tracks(folder: Folder, name: str) -> dict[str, np.ndarray]:
    """Read the tensors of a shard by track, each of shape (n_windows, ...); see `read_shard` for errors."""
    table = read_shard(folder, name, None).sort_by([("track_id", "ascending"), ("segment", "ascending")])
    shape, dtype = tensor_type(table.schema)
    values = [np.frombuffer(value, dtype=dtype).reshape(shape) for value in table["tensor"].to_pylist()]
    rows: dict[str, list[np.ndarray]] = {}
    for track, value in zip(table["track_id"].to_pylist(), values, strict=True):
        rows.setdefault(track, []).append(value)
    return {track: np.stack(windows) for track, windows in rows.items()}


def tensor_type(schema: pa.Schema) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the tensors of a shard."""
    about = schema.field("tensor").metadata
    return tuple(json.loads(about[b"shape"])), np.dtype(about[b"dtype"].decode())


def read_schema(folder: Folder, name: str) -> pa.Schema:
    """Read the schema of a shard; see `read_shard` for errors."""
    with damage_named(folder, name):
        return pq.read_schema(f"{folder.path}/{name}", filesystem=folder.filesystem)


@contextlib.contextmanager
def damage_named(folder: Folder, name: str) -> Iterator[None]:
    """Convert an error inside this context to a `CacheError` that names the shard or the bucket."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        refused = bucket_failure(error) if isinstance(error, OSError) else None
        raise refused or CacheError(
            f"{folder.uri}/{name}: missing or damaged ({error}); prepare the cache again"
        ) from error
