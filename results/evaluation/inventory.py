"""What runs exist, how much space they take, and which of them depend on others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data.errors import HarnessError
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo


@dataclass(frozen=True)
class RunEntry:
    """A run in the list of runs.

    Attributes
    ----------
    run : RunFolder
        The run.
    info : RunInfo or None
        Its record; None if it cannot be read.
    problem : str
        Why the record cannot be read.
    n_trials : int
        Number of its trials.
    best_accuracy : float
        Best validation accuracy as a fraction; NaN without a scored trial.
    n_bytes : int or None
        Size of the folder; None in a bucket.
    dependents : tuple of str
        Runs that this run warm-started.
    """

    run: RunFolder
    info: RunInfo | None
    problem: str
    n_trials: int
    best_accuracy: float
    n_bytes: int | None
    dependents: tuple[str, ...]


def list_runs(runs: str | Path) -> list[RunEntry]:
    """List all runs in a folder, by name.

    Raises
    ------
    RunError
        If `runs` is not a folder.
    """
    folders = RunFolder.all(runs)
    read = [(run, *_read(run)) for run in folders]
    used_by = dependents(info for _, info, _ in read if info is not None)
    return [
        RunEntry(run, info, problem, *_scores(run), folder_size(run), used_by.get(run.name, ()))
        for run, info, problem in read
    ]


def dependents(infos: Iterable[RunInfo]) -> dict[str, tuple[str, ...]]:
    """Return, by the name of a run, the names of the runs that it warm-started."""
    result: dict[str, tuple[str, ...]] = {}
    for info in infos:
        if info.warm_start is not None:
            source = str(info.warm_start["run"])
            result[source] = (*result.get(source, ()), info.name)
    return result


def folder_size(run: RunFolder) -> int | None:
    """Return the size of a run's folder in bytes; None in a bucket, where listing all objects costs money."""
    if not run.folder.is_local:
        return None
    return sum(path.lstat().st_size for path in run.folder.local.rglob("*") if path.is_file())


def _read(run: RunFolder) -> tuple[RunInfo | None, str]:
    try:
        return run.info(), ""
    except HarnessError as error:
        return None, str(error)


def _scores(run: RunFolder) -> tuple[int, float]:
    """Return the number of trials and the best accuracy; none before the first trial has ended."""
    try:
        trials = run.trials()
    except HarnessError:
        trials = pd.DataFrame({"val_accuracy": []})
    return len(trials), float(trials["val_accuracy"].max())
