"""CSV files that a user names in an option."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import HarnessError

if TYPE_CHECKING:
    import pandas as pd


def read_listing(
    path: str | Path, columns: tuple[str, ...], *, option: str, error: type[HarnessError]
) -> pd.DataFrame:
    """Read a CSV file, every cell as `str`.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : tuple of str
        Required columns; others are ignored.
    option : str
        Option that names it, for the message.
    error : type
        Class of the error.

    Raises
    ------
    HarnessError
        Of the class `error`, if the file cannot be read or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as cause:
        raise error(f"{option} {path}: no such file") from cause
    except (OSError, ValueError) as cause:
        raise error(f"{option} {path}: not a CSV file ({cause})") from cause
    for column in columns:
        if column not in table.columns:
            raise error(f"{option} {path}: no column {column!r}; it needs {','.join(columns)}")
    return table
