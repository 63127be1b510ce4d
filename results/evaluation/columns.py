"""Read columns of a run's Parquet file as lists, without pandas, whose import takes half a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import RunError
from search.storage.run_folder import RunFolder, require_epoch


def read_columns(
    run: RunFolder,
    name: str,
    columns: Sequence[str],
    epoch: int | None = None,
    *,
    optional: Sequence[str] = (),
) -> dict[str, list[Any]]:
    """Read columns of a Parquet file of a run.

    Parameters
    ----------
    run : RunFolder
        The run.
    name : str
        The file, such as ``trials.parquet``.
    columns : sequence of str
        Names of the columns to read.
    epoch : int, optional
        The epoch that the file must hold.
    optional : sequence of str
        Further columns; None in each row where the file lacks one.

    Returns
    -------
    dict of str to list
        Values by column; None where a value is missing.

    Raises
    ------
    RunError
        If the file is missing or incomplete, holds another epoch, or lacks a column.
    """
    location = f"run {run.name!r}: {run.folder.uri}/{name}"
    try:
        with run.folder.filesystem.open_input_file(f"{run.folder.path}/{name}") as file:
            table = pq.ParquetFile(file).read(columns=[*columns, *optional])
    except FileNotFoundError as error:
        raise RunError(f"{location} is missing; it is written when a trial ends") from error
    except pa.ArrowInvalid as error:
        raise RunError(f"{location}: not a complete Parquet file ({error})") from error
    require_epoch(table.schema.metadata, epoch, location)
    missing_columns = [column for column in columns if column not in table.column_names]
    if missing_columns:
        raise RunError(f"{location}: has no column {missing_columns[0]!r}")
    return {
        column: table[column].to_pylist() if column in table.column_names else [None] * table.num_rows
        for column in (*columns, *optional)
    }
