"""Read tensors from several Parquet files as one array, without copying the files.

A column chunk of one page without compression and dictionary ends with the plain values. Therefore the files
are only mapped: all processes of a node share the same pages of memory, and nothing is unpacked.
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
"""Number of bytes that is enough for the first three fields of a page's header."""


@dataclass(frozen=True)
class MappedTensors:
    """Read-only tensors in mapped files, indexed along the first axis like an array.

    Indexing copies the requested rows. Several threads can read at the same time.

    Attributes
    ----------
    pieces : sequence of ndarray of uint8, shape (n_i, n_bytes)
        Mapped runs of tensors, as bytes.
    piece, row : ndarray of int64, shape (n,)
        The piece that contains each tensor, and its row in the piece.
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

    def __getitem__(self, index: Any) -> np.ndarray:
        """Copy the rows selected by an integer, a slice, or an array of integers or booleans.

        The first element of a tuple selects rows, the others index the copy.
        """
        if isinstance(index, tuple):
            first, *rest = index
            axes = (slice(None),) * np.ndim(self.row[first]) + tuple(rest)
            return np.asarray(self[first][axes])
        piece, row = self.piece[index], self.row[index]
        if np.ndim(row) == 0:
            return self._typed(self.pieces[piece][row].copy()[np.newaxis])[0]
        out = np.empty((len(row), self.dtype.itemsize * int(np.prod(self.tensor_shape))), dtype=np.uint8)
        # Consecutive rows are copied together.
        starts_run = (np.diff(piece) != 0) | (np.diff(row) != 1)
        bounds = [0, *(np.flatnonzero(starts_run) + 1).tolist(), len(row)] if len(row) else []
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
            raise ValueError("mapped tensors cannot be converted to an array without a copy")
        array = self[:]
        return array if dtype is None else array.astype(dtype, copy=False)

    def _typed(self, values: np.ndarray) -> np.ndarray:
        return values.view(self.dtype).reshape(-1, *self.tensor_shape)


def map_column(path: str, metadata: pq.FileMetaData, column: str) -> list[np.ndarray] | None:
    """Map a FIXED_SIZE_BINARY column of a Parquet file as bytes.

    Parameters
    ----------
    path : str
        The file.
    metadata : FileMetaData
        Its footer.
    column : str
        Name of the column, which must not contain nulls.

    Returns
    -------
    list of ndarray of uint8, shape (n_i, n_bytes), or None
        One read-only array per row group; None if a row group is not stored as one plain page.

    Raises
    ------
    OSError
        If the file cannot be mapped.
    """
    number = metadata.schema.names.index(column)
    width = metadata.schema.column(number).length
    # Unlike Python's mmap, Arrow closes the file; a thousand shards would exceed the limit of open files.
    with pa.memory_map(path) as stream:
        content = stream.read_buffer()
    pieces = []
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(number)
        first, n_bytes = chunk.data_page_offset, chunk.num_values * width
        page = _page_size(content[first : first + _HEADER].to_pybytes())
        is_plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
        # A page at least as large as all values contains them all, at its end.
        if not is_plain or page is None or page < n_bytes:
            return None
        end = first + chunk.total_compressed_size
        if end > len(content):
            raise OSError("cut short")
        pieces.append(np.frombuffer(content, np.uint8, n_bytes, end - n_bytes).reshape(-1, width))
    return pieces


def _page_size(header: bytes) -> int | None:
    """Size of a stored page in bytes: the third field of its header, a Thrift struct in compact protocol.

    The first three fields are 32-bit integers: the type, 0 for a data page, and the uncompressed and
    compressed sizes; see ``PageHeader`` in the Parquet format's ``parquet.thrift``.
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
