"""Read tensors in place, from several Parquet files, as one array.

A column chunk of one page, without compression or dictionary, ends in the values themselves, one after
another. So the files need only be mapped: every process of a node reads the same pages of memory, and nothing
is unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_HEADER = 64
"""Bytes that hold the first three fields of a page's header, with room to spare."""


@dataclass(frozen=True)
class MappedTensors:
    """Tensors in mapped files, read-only: indexed as an array is along its first axis.

    Indexing copies the requested rows. Threads may read at the same time.

    Attributes
    ----------
    pieces : sequence of ndarray of uint8, shape (n_i, n_bytes)
        Mapped runs of tensors, as bytes.
    piece, row : ndarray of int64, shape (n,)
        The piece that holds each tensor, and its row there.
    tensor_shape : tuple of int
        Shape of one tensor.
    dtype : dtype
        Type of its values.
    """

    pieces: Sequence[np.ndarray]
    piece: np.ndarray
    row: np.ndarray
    tensor_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as an array: (n, ...)."""
        return (len(self.row), *self.tensor_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """Copy the rows that an integer, a slice, or an array of integers or of truth values names.

        Of a tuple, the first element names rows and the others index what was copied.
        """
        if isinstance(chosen, tuple):
            first, *rest = chosen
            axes = (slice(None),) * np.ndim(self.row[first]) + tuple(rest)
            return np.asarray(self[first][axes])
        piece, row = self.piece[chosen], self.row[chosen]
        if np.ndim(row) == 0:
            return self._typed(self.pieces[piece][row].copy()[np.newaxis])[0]
        out = np.empty((len(row), self.dtype.itemsize * int(np.prod(self.tensor_shape))), dtype=np.uint8)
        # Runs of consecutive rows are copied at once.
        new = (np.diff(piece) != 0) | (np.diff(row) != 1)
        bounds = [0, *(np.flatnonzero(new) + 1).tolist(), len(row)] if len(row) else []
        for start, end in pairwise(bounds):
            out[start:end] = self.pieces[piece[start]][row[start] : row[start] + end - start]
        return self._typed(out)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Copy all tensors to an array.

        Raises
        ------
        ValueError
            If `copy` is False.
        """
        if copy is False:
            raise ValueError("tensors in mapped files cannot become an array without a copy")
        array = self[:]
        return array if dtype is None else array.astype(dtype, copy=False)

    def _typed(self, values: np.ndarray) -> np.ndarray:
        return values.view(self.dtype).reshape(-1, *self.tensor_shape)


def map_column(path: str, metadata: pq.FileMetaData, column: str) -> list[np.ndarray] | None:
    """Map a FIXED_SIZE_BINARY column of a Parquet file: its values by row group, as bytes.

    Parameters
    ----------
    path : str
        The file.
    metadata : FileMetaData
        Its footer.
    column : str
        Name of the column, which holds no null.

    Returns
    -------
    list of ndarray of uint8, shape (n_i, n_bytes), or None
        One a row group, read-only; None if a row group is not stored as one plain page.

    Raises
    ------
    OSError
        If the file cannot be mapped.
    """
    number = metadata.schema.names.index(column)
    width = metadata.schema.column(number).length
    # Arrow's map outlives its file, whereas Python's keeps it open: too many open files at a thousand shards.
    with pa.memory_map(path) as stream:
        content = stream.read_buffer()
    pieces = []
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(number)
        first, held = chunk.data_page_offset, chunk.num_values * width
        page = _page_size(content[first : first + _HEADER].to_pybytes())
        plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
        # A page that is as large as all values holds all of them, at its end.
        if not plain or page is None or page < held:
            return None
        end = first + chunk.total_compressed_size
        if end > len(content):
            raise OSError("cut short")
        pieces.append(np.frombuffer(content, np.uint8, held, end - held).reshape(-1, width))
    return pieces


def _page_size(header: bytes) -> int | None:
    """Bytes of a page as stored: the third field of its header, a Thrift struct in the compact protocol.

    The first three are 32-bit integers: the type, which is 0 for a data page, and the sizes without and with
    compression; see ``PageHeader`` in the Parquet format's ``parquet.thrift``.
    """
    values = []
    place = 0
    for _ in range(3):
        if header[place : place + 1] != b"\x15":
            return None
        place += 1
        value = shift = 0
        while place < len(header):
            byte = header[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        values.append((value >> 1) ^ -(value & 1))
    return values[2] if values[0] == 0 else None
