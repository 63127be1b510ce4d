"""Read tables of users: CSV, TSV, JSON lines or Parquet, in the variants of common tools.

Encoding and separator are detected. Column names are compared without case and surrounding spaces.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import HarnessError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_SEPARATORS = ",;\t|"
_MAX_FIELD = 1 << 24
"""Maximum number of characters of a field; FMA's table contains biographies."""
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_PROBE_BYTES = 4096
_BATCH = 4096


@dataclass(frozen=True)
class TableFile:
    """A table that is read row by row, with every cell as `str`.

    Attributes
    ----------
    path : Path
        The file.
    option : str
        Option that names the file, for messages.
    error : type
        Class of the errors.
    columns : tuple of str
        Stripped names of the columns. FMA's ``tracks.csv`` has two rows of names, which are joined by a dot:
        ``track.genre_top``.
    """

    path: Path
    option: str
    error: type[HarnessError]
    columns: tuple[str, ...]
    _encoding: str = "utf-8"
    _separator: str = ","
    _header_rows: int = 1

    @classmethod
    def open(cls, path: str | Path, *, option: str, error: type[HarnessError]) -> TableFile:
        """Read the header of a table.

        Raises
        ------
        HarnessError
            Of the class `error`, if the file cannot be read or is not a table.
        """
        path = Path(path).expanduser()
        where = f"{option} {path}"
        try:
            if path.suffix.lower() == ".parquet":
                return cls(path, option, error, tuple(_parquet(path).schema_arrow.names))
            if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
                return cls(path, option, error, _json_columns(path), _encoding=_encoding(path))
            encoding = _encoding(path)
            header, separator, header_rows = _header(path, encoding)
        except FileNotFoundError as cause:
            raise error(f"{where}: no such file") from cause
        except OSError as cause:
            raise error(f"{where}: cannot be read ({cause.strerror or cause})") from cause
        except (ValueError, csv.Error) as cause:
            raise error(f"{where}: not a table in CSV, TSV, JSON lines or Parquet ({cause})") from cause
        if not any(header):
            raise error(f"{where}: not a table: it has no header")
        return cls(path, option, error, header, encoding, separator, header_rows)

    def column(self, names: Sequence[str]) -> int | None:
        """Return the number of the column with the first of these names that exists; None if none exists."""
        by_key = {name.casefold(): number for number, name in reversed(list(enumerate(self.columns)))}
        return next((by_key[name.casefold()] for name in names if name.casefold() in by_key), None)

    def required(self, names: Sequence[str], *, hint: str = "") -> int:
        """Return the number of a column; see `column`.

        Raises
        ------
        HarnessError
            If no column has one of the names; the message lists the columns.
        """
        number = self.column(names)
        if number is None:
            missing = " or ".join(repr(name) for name in names)
            columns = ", ".join(self.columns[:20]) + (", ..." if len(self.columns) > 20 else "")
            raise self.error(
                f"{self.option} {self.path}: no column {missing}; its columns are {columns or '(none)'}{hint}"
            )
        return number

    def rows(self, columns: Sequence[int | None]) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number of each row and its cells of `columns`; a cell of column None is empty.

        Raises
        ------
        HarnessError
            If the file cannot be read or is damaged.
        """
        where = f"{self.option} {self.path}"
        try:
            for line, cells in self._cells():
                yield (
                    line,
                    [
                        "" if number is None or number >= len(cells) else cells[number].strip()
                        for number in columns
                    ],
                )
        except OSError as cause:
            raise self.error(f"{where}: cannot be read ({cause.strerror or cause})") from cause
        except (ValueError, csv.Error) as cause:
            raise self.error(f"{where}: damaged ({cause})") from cause

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        suffix = self.path.suffix.lower()
        if suffix == ".parquet":
            number = 0
            for batch in _parquet(self.path).iter_batches(_BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [_text(value) for value in values]
        elif suffix in (".jsonl", ".ndjson", ".json"):
            with self.path.open(encoding=self._encoding) as file:
                for number, text in enumerate(file, start=1):
                    if text.strip():
                        row = json.loads(text)
                        yield number, [_text(row.get(name)) for name in self.columns]
        else:
            csv.field_size_limit(_MAX_FIELD)
            with self.path.open(encoding=self._encoding, newline="") as file:
                reader = csv.reader(file, delimiter=self._separator)
                for _ in range(self._header_rows):
                    next(reader, None)
                for row in reader:
                    if any(row):
                        yield reader.line_num, row


def _parquet(path: Path) -> pq.ParquetFile:
    # Imported here, because `search.run --help` imports this module.
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _encoding(path: Path) -> str:
    """Detect the encoding of a text file: from its byte order mark, or UTF-16, UTF-8 or cp1252."""
    with path.open("rb") as file:
        probe = file.read(_PROBE_BYTES)
        for mark, encoding in _BOMS.items():
            if probe.startswith(mark):
                return encoding
        if probe[1::2].count(0) > len(probe) // 4:
            return "utf-16-le"
        if probe[::2].count(0) > len(probe) // 4:
            return "utf-16-be"
        file.seek(0)
        try:
            for line in file:
                line.decode("utf-8")
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _header(path: Path, encoding: str) -> tuple[tuple[str, ...], str, int]:
    """Column names, separator and number of header rows of a CSV file."""
    csv.field_size_limit(_MAX_FIELD)
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline()
        separator = max(_SEPARATORS, key=lambda mark: (first.count(mark), -_SEPARATORS.index(mark)))
        file.seek(0)
        reader = csv.reader(file, delimiter=separator)
        rows = [
            [cell.strip().lstrip("\ufeff") for cell in row] for row, _ in zip(reader, range(3), strict=False)
        ]
    if not rows:
        return (), separator, 0
    if len(rows) == 3 and rows[2][:1] == ["track_id"] and not rows[0][0] and len(rows[0]) == len(rows[1]):
        names = [f"{above}.{name}" for above, name in zip(rows[0], rows[1], strict=True)]
        return ("track_id", *names[1:]), separator, 3
    return tuple(rows[0]), separator, 1


def _json_columns(path: Path) -> tuple[str, ...]:
    """Keys of all objects of a JSON lines file, in the order of appearance."""
    columns: dict[str, None] = {}
    with path.open(encoding=_encoding(path)) as file:
        for text in file:
            if text.strip():
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ValueError("each line must be an object")
                columns |= dict.fromkeys(row)
    return tuple(columns)
