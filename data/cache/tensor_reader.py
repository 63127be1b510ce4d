"""Read the tensors of a cache as an array that all processes of a node share, or as Arrow tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.cache.format import how_to_make, require_current
from data.cache.memory_map import MappedTensors, map_column
from data.cache.rows import KEYS, Rows
from data.cache.shards import damage_named, read_schema, read_shard, tensor_type
from data.cache.writer import OK
from data.errors import CacheError
from data.io.command_names import command_name
from data.io.folder import Folder
from data.io.scratch import making, scratch_folder, used


def read_tensors(folder: Folder, kind: str, fingerprint: str, key: str = "") -> Rows:
    """Rows of one kind of tensor, sorted by track and window.

    Shards on a local disk are mapped directly. Shards in a bucket are copied into one array file by the first
    process of a node that reads them; all processes map this file.

    Parameters
    ----------
    folder : Folder
        The cache.
    kind : str
        ``melspec``, ``image`` or ``embedding-NAME``.
    fingerprint : str
        Fingerprint of the cache.
    key : str
        Fingerprint of the input, used in the name of the array file; by default, that of the cache.

    Raises
    ------
    CacheError
        If the cache has no such tensors, a shard is missing or damaged, or the manifest does not belong to
        ``cache.json``.
    """
    shards = _Shards.of(folder, kind, fingerprint)
    if folder.is_local:
        X = _mapped(shards)
        if X is not None:
            return Rows.of(X, shards.keys)
    path = scratch_folder() / f"{kind}-{(key or fingerprint)[:32]}.npy"
    used(path)
    try:
        array = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        with making(path, shards.nbytes) as temporary:
            if temporary is not None:
                _unpack(shards, temporary)
        array = np.load(path, mmap_mode="r")
    return Rows.of(array, shards.keys)


def read_tables(folder: Folder, kind: str, fingerprint: str) -> Iterator[pa.Table]:
    """Yield one table per shard, whose column ``tensor`` is an Arrow fixed-shape tensor.

    The tensors are not copied. See `read_tensors` for parameters and errors.
    """
    part_of_track = _parts(folder, kind, fingerprint)
    for name in _names(part_of_track):
        table = read_shard(folder / kind, name, None)
        shape, dtype = tensor_type(table.schema)
        plain = pa.from_numpy_dtype(dtype)
        chunks = []
        for chunk in table["tensor"].chunks:
            count = int(np.prod(shape))
            values = pa.Array.from_buffers(
                plain, len(chunk) * count, [None, chunk.buffers()[1]], offset=chunk.offset * count
            )
            stored = pa.FixedSizeListArray.from_arrays(values, count)
            chunks.append(pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(plain, shape), stored))
        column = table.schema.get_field_index("tensor")
        tensor = pa.chunked_array(chunks, type=pa.fixed_shape_tensor(plain, shape))
        table = table.set_column(column, "tensor", tensor)
        is_current = [
            f"{part_of_track.get(track)}.parquet" == name for track in table["track_id"].to_pylist()
        ]
        yield table if all(is_current) else table.filter(pa.array(is_current))


@dataclass(frozen=True)
class _Shards:
    """The shards of one kind of tensor.

    Attributes
    ----------
    folder : Folder
        Their folder.
    names : list of str
        Their names.
    keys : Table
        Key columns of all current rows, sorted.
    shard, row : ndarray of int64, shape (n,)
        Number of the shard of each row of `keys`, and row in the shard.
    tensor_shape : tuple of int
        Shape of one tensor.
    dtype : dtype
        Type of its values.
    """

    folder: Folder
    names: list[str]
    keys: pa.Table
    shard: np.ndarray
    row: np.ndarray
    tensor_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return len(self.row) * int(np.prod(self.tensor_shape)) * self.dtype.itemsize

    @classmethod
    def of(cls, folder: Folder, kind: str, fingerprint: str) -> _Shards:
        """Read the keys."""
        part_of_track = _parts(folder, kind, fingerprint)
        shards = folder / kind
        names = _names(part_of_track)
        tables = []
        for number, name in enumerate(names):
            table = read_shard(shards, name, list(KEYS))
            is_current = [
                f"{part_of_track.get(track)}.parquet" == name for track in table["track_id"].to_pylist()
            ]
            table = table.append_column("shard", pa.array(np.full(len(table), number)))
            table = table.append_column("row", pa.array(np.arange(len(table))))
            tables.append(table.filter(pa.array(is_current, type=pa.bool_())))
        keys = pa.concat_tables(tables).sort_by([("track_id", "ascending"), ("segment", "ascending")])
        manifest = folder.read_table("manifest.parquet", ["track_id", "group"])
        row_of = pc.index_in(keys["track_id"], manifest["track_id"])
        column = keys.schema.get_field_index("group")
        keys = keys.set_column(column, "group", manifest["group"].take(row_of))
        shape, dtype = _common(shards, names)
        return cls(shards, names, keys, keys["shard"].to_numpy(), keys["row"].to_numpy(), shape, dtype)


def _source(folder: Folder) -> str:
    return str(folder.read_json("cache.json")["source"])


def _parts(folder: Folder, kind: str, fingerprint: str) -> dict[str, str]:
    """Name of the shard, without suffix, of each usable track; checks that all of these shards exist."""
    present = set((folder / kind).names())
    file = folder.parquet("manifest.parquet") if present else None
    if file is None or "part" not in file.schema_arrow.names:
        raise CacheError(f"{folder.uri}: has no {kind} tensors; {how_to_make(folder, _source(folder), kind)}")
    require_current(file, fingerprint, folder)
    manifest = folder.read_table("manifest.parquet", ["track_id", "part", "status"])
    rows = zip(*(manifest[column].to_pylist() for column in ("track_id", "part", "status")), strict=True)
    part_of_track = {track: name for track, name, status in rows if status == OK}
    names = _names(part_of_track)
    missing = [name for name in names if name not in present]
    if missing and missing == names:
        raise CacheError(
            f"{folder.uri}: making its {kind} tensors was interrupted; run the same"
            f" '{command_name('data.prepare')}' again, finished work is kept"
        )
    if missing:
        raise CacheError(
            f"{folder.uri}/{kind}/{missing[0]}: missing; copy it again, or prepare the cache again"
        )
    return part_of_track


def _names(part_of_track: Mapping[str, str]) -> list[str]:
    """Sorted names of the shards that contain tracks."""
    return sorted({f"{name}.parquet" for name in part_of_track.values()})


def _common(shards: Folder, names: list[str]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of all tensors; checks that the shards agree."""
    first = tensor_type(read_schema(shards, names[0]))
    for name in names[1:]:
        other = tensor_type(read_schema(shards, name))
        if other != first:
            raise CacheError(
                f"{shards.uri}/{name}: tensors of shape {other[0]} ({other[1]}), but {first[0]} ({first[1]})"
                f" in {names[0]}; prepare all tensors with the same options, in a new folder"
            )
    return first


def _mapped(shards: _Shards) -> MappedTensors | None:
    """Map the shards; None if a shard cannot be mapped, for example because another program wrote it."""
    pieces: list[np.ndarray] = []
    piece, row = np.empty_like(shards.shard), np.empty_like(shards.row)
    for number, name in enumerate(shards.names):
        path = f"{shards.folder.path}/{name}"
        with damage_named(shards.folder, name):
            mapped = map_column(path, pq.read_metadata(path), "tensor")
        if mapped is None:
            return None
        rows_of_shard = np.flatnonzero(shards.shard == number)
        ends = np.cumsum([len(values) for values in mapped])
        group = np.searchsorted(ends, shards.row[rows_of_shard], side="right")
        piece[rows_of_shard] = len(pieces) + group
        row[rows_of_shard] = shards.row[rows_of_shard] - np.concatenate(([0], ends))[group]
        pieces += mapped
    return MappedTensors(pieces, piece, row, shards.tensor_shape, shards.dtype)


def _unpack(shards: _Shards, path: Path) -> None:
    """Write the tensors of all shards to one array file."""
    shape = (len(shards.row), *shards.tensor_shape)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=shards.dtype, shape=shape)
    # Allocate the sparse file, because writing to it on a full disk would kill the process with a signal.
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    for number, name in enumerate(shards.names):
        table = read_shard(shards.folder, name, ["tensor"])
        values = np.concatenate(
            [
                np.frombuffer(chunk.buffers()[1], dtype=shards.dtype).reshape(-1, *shards.tensor_shape)[
                    chunk.offset : chunk.offset + len(chunk)
                ]
                for chunk in table["tensor"].chunks
            ]
        )
        rows_of_shard = np.flatnonzero(shards.shard == number)
        out[rows_of_shard] = values[shards.row[rows_of_shard]]
    out.flush()
