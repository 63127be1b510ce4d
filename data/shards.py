"""Tensors in Parquet, and back as arrays that all processes of a node share.

A tensor is a value of FIXED_SIZE_BINARY without compression, dictionary or statistics: a nested list, which
is how Parquet stores Arrow's fixed-shape tensors, reads forty times slower. Its shape and type stand in the
field's metadata under ``shape`` (JSON) and ``dtype``.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.cache import KEYS, Rows
from data.errors import CacheError
from data.files import Folder

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("melspec", "image")
_ROW_GROUP = 64
_SCRATCH = "GENRE_SEARCH_SCRATCH"
"""Variable of the environment that names the folder for the arrays that processes share."""


@dataclass(frozen=True)
class TrackTensors:
    """Tensors of one track.

    Attributes
    ----------
    track_id, label : str
        The track and its genre.
    X : ndarray, shape (n_windows, ...)
        One tensor a window.
    """

    track_id: str
    label: str
    X: np.ndarray


def write_shard(folder: Folder, name: str, tracks: Sequence[TrackTensors]) -> None:
    """Write the tensors of some tracks as one Parquet file, each track as its own group for now."""
    import pyarrow as pa

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
    import pyarrow.parquet as pq

    with folder.writing(name) as stream:
        pq.write_table(
            table,
            stream,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            row_group_size=_ROW_GROUP,
        )


def tidy_shards(folder: Folder) -> None:
    """Delete shards that the manifest does not name, and write its groups into those that it does."""
    manifest = folder.read_table("manifest.parquet").select(["track_id", "group", "part"])
    used = {f"{part}.parquet" for part in manifest["part"].to_pylist()}
    group = dict(zip(manifest["track_id"].to_pylist(), manifest["group"].to_pylist(), strict=True))
    for kind in KINDS:
        shards = folder / kind
        for name in shards.names():
            if name not in used:
                shards.remove(name)
                continue
            keys = _read(shards, name, ["track_id", "group"])
            wanted = [group.get(track, track) for track in keys["track_id"].to_pylist()]
            if wanted != keys["group"].to_pylist():
                table = _read(shards, name, None)
                column = table.schema.get_field_index("group")
                _write(shards, name, table.set_column(column, "group", [wanted]))


def _read(folder: Folder, name: str, columns: list[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(
            f"{folder.path}/{name}", columns=columns, filesystem=folder.filesystem, memory_map=True
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise CacheError(
            f"{folder.uri}/{name}: missing or damaged ({error}); prepare the cache again"
        ) from error


def read_tensors(folder: Folder, kind: str, fingerprint: str) -> Rows:
    """Rows of one kind of tensor, sorted by track and window.

    The first process of a node that asks copies the shards, one at a time, into one array file; this and all
    others map that file, read-only.

    Parameters
    ----------
    folder : Folder
        The cache.
    kind : str
        One of `KINDS`.
    fingerprint : str
        The cache's; it names the array file.

    Raises
    ------
    CacheError
        If the cache has no such tensors, or a shard is missing or damaged.
    """
    shards = folder / kind
    keys, place = _keys(folder, shards, kind)
    path = _scratch() / f"{kind}-{fingerprint[:32]}.npy"
    if not path.exists():
        _unpack(shards, place, path)
    X = np.load(path, mmap_mode="r")
    return Rows.of(X, keys)


def _keys(folder: Folder, shards: Folder, kind: str) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Sorted keys of all rows that count, and for each shard the place of its rows, -1 for stale ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = shards.names()
    manifest = folder.read_table("manifest.parquet")
    if not names or "part" not in manifest.column_names:
        raise CacheError(
            f"{folder.uri}: has no {kind} tensors; make them with 'python -m data.prepare --{kind}' in a new"
            " folder"
        )
    part = dict(zip(manifest["track_id"].to_pylist(), manifest["part"].to_pylist(), strict=True))
    tables = []
    for number, name in enumerate(names):
        table = _read(shards, name, list(KEYS))
        stale = [f"{part.get(track)}.parquet" != name for track in table["track_id"].to_pylist()]
        table = table.append_column("shard", pa.array(np.full(len(table), number)))
        table = table.append_column("row", pa.array(np.arange(len(table))))
        tables.append(table.filter(pc.invert(pa.array(stale, type=pa.bool_()))))
    table = pa.concat_tables(tables).sort_by([("track_id", "ascending"), ("segment", "ascending")])
    row_of = pc.index_in(table["track_id"], manifest["track_id"])
    column = table.schema.get_field_index("group")
    table = table.set_column(column, "group", manifest["group"].take(row_of))
    place = {}
    shard, row = table["shard"].to_numpy(), table["row"].to_numpy()
    for number, name in enumerate(names):
        mine = np.flatnonzero(shard == number)
        place[name] = np.stack((row[mine], mine))
    return table, place


def _unpack(shards: Folder, place: dict[str, np.ndarray], path: Path) -> None:
    """Write the tensors of all shards to one array file, whole."""
    total = sum(rows.shape[1] for rows in place.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}-{path.name}")
    out: np.ndarray | None = None
    try:
        for name, (source, target) in place.items():
            table = _read(shards, name, ["tensor"])
            values = _tensors(table)
            if out is None:
                out = np.lib.format.open_memmap(
                    temporary, mode="w+", dtype=values.dtype, shape=(total, *values.shape[1:])
                )
            out[target] = values[source]
        del out
        temporary.replace(path)
    except OSError as error:
        raise CacheError(
            f"{path.parent}: cannot be written ({error.strerror}); free space there, or name another folder"
            f" in the variable {_SCRATCH}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _tensors(table: pa.Table) -> np.ndarray:
    """Tensor column as an array."""
    about = table.schema.field("tensor").metadata
    shape, dtype = json.loads(about[b"shape"]), np.dtype(about[b"dtype"].decode())
    pieces = [
        np.frombuffer(chunk.buffers()[1], dtype=dtype).reshape(-1, *shape)[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in table["tensor"].chunks
    ]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _scratch() -> Path:
    """Folder of this node for arrays that processes share."""
    named = os.environ.get(_SCRATCH)
    return Path(named) if named else Path(tempfile.gettempdir()) / f"genre-search-{os.getuid()}"
