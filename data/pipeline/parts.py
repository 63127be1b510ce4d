"""The newest row of each file, from parts and an older cache, in order and in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.io.folder import Folder

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

CHUNK = 4096
"""Rows per chunk, which bounds the memory that merging takes."""


@dataclass(frozen=True)
class Parts:
    """Parts that workers wrote and that are not merged yet.

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
        """Columns of each part."""
        for name in self.names():
            yield self.folder.read_table(name, list(columns))


class Gathered:
    """Rows of manifests by track.

    Parameters
    ----------
    track_ids : sequence of str
        The tracks to read, sorted.
    folder : Folder
        The cache; its manifest counts if `with_old`.
    parts : Parts
        Newly analysed files; a later part overrides an earlier one and the cache.
    with_old : bool
        Whether there is a cache.
    """

    def __init__(self, track_ids: Sequence[str], folder: Folder, parts: Parts, *, with_old: bool) -> None:
        self.track_ids = track_ids
        self._parts = parts
        self._names = parts.names()
        self._old = folder.parquet("manifest.parquet") if with_old else None
        # Source of each track (row groups of the old manifest come first) and its row there.
        self._source = np.full(len(track_ids), -1, dtype=np.int32)
        self._row = np.zeros(len(track_ids), dtype=np.int32)
        place = {track: number for number, track in enumerate(track_ids)}
        for source in range(self._n_old + len(self._names)):
            for row, track in enumerate(self._read(source, ["track_id"])["track_id"].to_pylist()):
                if (number := place.get(track)) is not None:
                    self._source[number], self._row[number] = source, row

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the tracks, in order; null where a source lacks one."""
        import pyarrow as pa

        held: dict[int, pa.Table] = {}
        for start in range(0, len(self.track_ids), CHUNK):
            source, row = self._source[start : start + CHUNK], self._row[start : start + CHUNK]
            tables, places = [], []
            sources = np.unique(source).tolist()
            # Tables of the previous chunk are not read again.
            held = {number: held[number] for number in sources if number in held}
            for number in sources:
                if number not in held:
                    held[number] = self._read(number, columns)
                mine = np.flatnonzero(source == number)
                tables.append(held[number].take(pa.array(row[mine])))
                places.append(mine)
            order = np.argsort(np.concatenate(places))
            table = pa.concat_tables(tables, promote_options="default")
            yield table.take(pa.array(order))

    @property
    def _n_old(self) -> int:
        return 0 if self._old is None else int(self._old.num_row_groups)

    def _read(self, source: int, columns: Sequence[str]) -> pa.Table:
        if self._old is not None and source < self._n_old:
            there = [name for name in columns if name in self._old.schema_arrow.names]
            return self._old.read_row_group(source, columns=there)
        return self._parts.folder.read_table(self._names[source - self._n_old], list(columns))


class SortedRows:
    """A table that is sorted by track, read in order up to a given track.

    Parameters
    ----------
    file : ParquetFile
        The table.
    """

    def __init__(self, file: pq.ParquetFile) -> None:
        self._batches = file.iter_batches(CHUNK)
        self._held = file.schema_arrow.empty_table()

    def upto(self, last: str) -> pa.Table:
        """Return all further rows up to and including a track."""
        import pyarrow as pa
        import pyarrow.compute as pc

        tables = [self._held]
        while not len(tables[-1]) or tables[-1]["track_id"][-1].as_py() <= last:
            batch = next(self._batches, None)
            if batch is None:
                break
            tables.append(pa.Table.from_batches([batch]))
        table = pa.concat_tables(tables)
        count = pc.sum(pc.less_equal(table["track_id"], last)).as_py() or 0
        # A copy: a slice would keep the whole table in memory.
        self._held = pa.concat_tables([table.slice(count)]).combine_chunks()
        return table.slice(0, count)
