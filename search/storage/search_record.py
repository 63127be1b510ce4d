"""The record of a search over several families: ``search.json`` in the folder of that name.

The search NAME owns one run per family, NAME-FAMILY, beside its own folder. Its record has what the runs do
not store: the common budget, and the families that get no more trials.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from data.errors import RunError
from data.io.documents import require_format, validated
from search.storage.run_folder import RunFolder

RECORD = "search.json"
FORMAT = 1
"""Version of the layout."""


class SearchRecord(BaseModel):
    """Content of ``search.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    name : str
        The search.
    families : list of str
        Its families, in the order of their first trials.
    left_out : dict of str to str
        Families that were requested by ``all`` but cannot be searched on the data, with the reason.
    status : str
        ``running``, ``finished``, or ``interrupted`` (which can be resumed).
    trials : int or None
        Trials per family; None if only the time limits the search.
    time_budget : float or None
        Seconds for all families together; None for no limit.
    seconds : float
        Duration over all sessions.
    stopped : dict of str to str
        Families that get no more trials, with the reason.
    created, ended : str or None
        Times in ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    name: str
    families: list[str]
    left_out: dict[str, str] = {}
    status: Literal["running", "finished", "interrupted"]
    trials: int | None
    time_budget: float | None
    seconds: float = 0.0
    stopped: dict[str, str] = {}
    created: str
    ended: str | None = None


def run_of(runs: str | Path, name: str, family: str) -> RunFolder:
    """Return the run of a family in the search `name`."""
    return RunFolder.at(runs, f"{name}-{family}")


def is_search(runs: str | Path, name: str) -> bool:
    """Return whether a name belongs to a search over several families."""
    return RunFolder.at(runs, name).folder.exists(RECORD)


def read_record(runs: str | Path, name: str) -> SearchRecord:
    """Read the record of a search.

    Raises
    ------
    RunError
        If there is none, or its file is of another version or damaged.
    """
    folder = RunFolder.at(runs, name).folder
    try:
        content: Any = folder.read_json(RECORD)
    except FileNotFoundError as error:
        raise RunError(f"no search {name!r} ({folder.uri}/{RECORD} is missing)") from error
    where, advice = f"{folder.uri}/{RECORD}", "use the version of the program that wrote it"
    require_format(content, (FORMAT,), where=where, error=RunError, advice=advice)
    return validated(SearchRecord, content, where=where, error=RunError, advice=advice)


def write_record(runs: str | Path, record: SearchRecord) -> None:
    """Write the record of a search."""
    RunFolder.at(runs, record.name).folder.write_json(RECORD, record.model_dump(mode="json"))
