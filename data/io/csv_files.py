"""Read columns of a table that a user names in an option."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import HarnessError
from data.io.names import normalised
from data.io.table_file import TableFile

if TYPE_CHECKING:
    import pandas as pd


def read_listing(
    path: str | Path, columns: tuple[str, ...], *, option: str, error: type[HarnessError]
) -> pd.DataFrame:
    """Read columns of a table, with every cell as a stripped `str` in NFC.

    Column names are compared without case; encoding and separator are detected.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : tuple of str
        Required columns; others are ignored.
    option : str
        Option that names the file, for the message.
    error : type
        Class of the errors.

    Raises
    ------
    HarnessError
        Of the class `error`, if the file cannot be read or lacks a column.
    """
    import pandas as pd

    table = TableFile.open(path, option=option, error=error)
    numbers = [table.required((column,)) for column in columns]
    rows = [[normalised(cell) for cell in cells] for _, cells in table.rows(numbers)]
    return pd.DataFrame(rows, columns=list(columns), dtype=object)
