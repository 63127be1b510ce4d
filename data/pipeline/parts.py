"""Read the newest row of each track, from parts and an older cache, in order and in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.io.folder import Folder

CHUNK = 4096
"""Rows per chunk; limits the memory of the merge."""


@dataclass(frozen=True)
class Parts:
    """Parts that workers have written and that are not merged yet.

    Attributes
    ----------
    folder : Folder
        Their folder; names sort in the order in which the parts were planned.
    """

    folder: Folder

    def names(self) -> list[str]:
        """Names of the parts, oldest first."""
        return [name for name in self.folder.names() if name.endswith(".parquet")]

    def next_number(self) -> int:
        """Return the number of the next part."""
        return max((int(name.partition("-")[0]) + 1 for name in self.names()), default=0)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read columns of each part."""
        for name in self.names():
            yield self.folder.read_table(name, list(columns))


class NewestRows:
    """The newest row of each track in the parts and the old manifest.

    Parameters
    ----------
    track_ids : sequence of str
        The tracks to read, sorted.
    folder : Folder
        The cache; its manifest is read if `with_old`.
    parts : Parts
        Newly analysed files; a later part overrides an earlier one and the cache.
    with_old : bool
        Whether an old cache exists.
    """

    def __init__(self, track_ids: Sequence[str], folder: Folder, parts: Parts, *, with_old: bool) -> None:
        self.track_ids = track_ids
        self._parts = parts
        self._names = parts.names()
        self._old = folder.parquet("manifest.parquet") if with_old else None
        # Source of each track (row groups of the old manifest first, then parts) and its row in that source.
        self._source = np.full(len(track_ids), -1, dtype=np.int32)
        self._row = np.zeros(len(track_ids), dtype=np.int32)
        number_of = {track: number for number, track in enumerate(track_ids)}
        for source in range(self._n_old + len(self._names)):
            for row, track in enumerate(self._read(source, ["track_id"])["track_id"].to_pylist()):
                if (number := number_of.get(track)) is not None:
                    self._source[number], self._row[number] = source, row

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read columns of the tracks, in order; null if a source lacks a column."""
        loaded: dict[int, pa.Table] = {}
        for start in range(0, len(self.track_ids), CHUNK):
            source, row = self._source[start : start + CHUNK], self._row[start : start + CHUNK]
            tables, positions = [], []
            sources = np.unique(source).tolist()
            # Tables of the previous chunk are reused.
            loaded = {number: loaded[number] for number in sources if number in loaded}
            for number in sources:
                if number not in loaded:
                    loaded[number] = self._read(number, columns)
                position = np.flatnonzero(source == number)
                tables.append(loaded[number].take(pa.array(row[position])))
                positions.append(position)
            order = np.argsort(np.concatenate(positions))
            table = pa.concat_tables(tables, promote_options="default")
            yield table.take(pa.array(order))

    @property
    def _n_old(self) -> int:
        return 0 if self._old is None else int(self._old.num_row_groups)

    def _read(self, source: int, columns: Sequence[str]) -> pa.Table:
        if self._old is not None and source < self._n_old:
            present = [name for name in columns if name in self._old.schema_arrow.names]
            return self._old.read_row_group(source, columns=present)
        return self._parts.folder.read_table(self._names[source - self._n_old], list(columns))


class SortedRows:
    """A table sorted by track, read in order.

    Parameters
    ----------
    file : ParquetFile
        The table.
    """

    def __init__(self, file: pq.ParquetFile) -> None:
        self._batches = file.iter_batches(CHUNK)
        self._pending = file.schema_arrow.empty_table()

    def up_to(self, last: str) -> pa.Table:
        """Return the rows that follow the previous call, up to and including a track."""
        tables = [self._pending]
        while not len(tables[-1]) or tables[-1]["track_id"][-1].as_py() <= last:
            batch = next(self._batches, None)
            if batch is None:
                break
            tables.append(pa.Table.from_batches([batch]))
        table = pa.concat_tables(tables)
        count = pc.sum(pc.less_equal(table["track_id"], last)).as_py() or 0
        # Copy the rows, because a slice would keep the whole table in memory.
        self._pending = pa.concat_tables([table.slice(count)]).combine_chunks()
        return table.slice(0, count)
