"""Names that a run may have."""

from __future__ import annotations

from data.errors import SettingsError

_RESERVED = "best"
"""Stands for the best trial of all runs."""


def check_run_name(name: str, option: str) -> None:
    """Check the name of a new run.

    Parameters
    ----------
    name : str
        The name.
    option : str
        Option or argument that holds it, for the message.

    Raises
    ------
    SettingsError
        If it is not the name of a folder, contains a colon (``RUN:4`` names a trial), or is reserved.
    """
    if not name.strip(".") or {"/", "\\", ":"} & set(name):
        raise SettingsError(
            f"{option} {name}: the name of a run must be a folder name without slash or colon"
        )
    if name == _RESERVED:
        raise SettingsError(f"{option} {name}: reserved for the best of all runs; choose another name")
