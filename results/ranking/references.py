"""Resolve the names that users type: runs, searches over several families, and their trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spaces
from data.errors import RunError
from results.evaluation.trials import (
    BEST,
    Trial,
    existing_run,
    find_trial,
    trial_number,
)
from results.ranking.boards import boards
from search.storage.columns import config_of
from search.storage.ranking import has_score
from search.storage.run_folder import RunFolder


def run_names(names: Sequence[str], runs: str) -> list[str]:
    """Replace the name of a search over several families by those of its runs, ``NAME-FAMILY``.

    Parameters
    ----------
    names : sequence of str
        Names of runs and searches.
    runs : str
        Folder of the runs.

    Raises
    ------
    RunError
        If a name belongs to neither; the message contains the nearest name of a run.
    """
    expanded: list[str] = []
    for name in names:
        expanded += _runs_of_search(name, runs) or [existing_run(runs, name).name]
    return list(dict.fromkeys(expanded))


def _runs_of_search(name: str, runs: str) -> list[str]:
    """Find the runs of a search over several families; empty if the name is that of a run."""
    if RunFolder.at(runs, name).folder.exists("run.json"):
        return []
    candidates = [RunFolder.at(runs, f"{name}-{family}") for family in spaces.names()]
    return [run.name for run in candidates if run.folder.exists("run.json")]


def trial_at(reference: str, runs: str) -> Trial:
    """Find a trial by ``RUN`` or ``RUN:TRIAL``, where RUN may be a search over several families.

    TRIAL is a number, ``best`` (the default), ``baseline`` or the trial's id. The best trial of a search over
    several families is the best of all; its other trials have the names of their runs.

    Raises
    ------
    RunError
        If the run or trial does not exist or has no score.
    """
    name, _, wanted = reference.partition(":")
    family_runs = _runs_of_search(name, runs)
    if family_runs and wanted.lower() in ("", BEST):
        ranked, _ = boards(runs, top=1, names=family_runs)
        best = ranked[0].entries[0]
        return find_trial(RunFolder.at(runs, best.run), best.trial_id)
    if family_runs:
        raise RunError(
            f"{reference}: {name} is a search over several families, each with its own trials; name one of"
            f" {', '.join(f'{run}:{wanted}' for run in family_runs)}"
        )
    return find_trial(existing_run(runs, name), wanted or None)


def failed_trial(run: str, wanted: str, runs: str) -> tuple[str, str, dict[str, Any], str] | None:
    """Return name, status, configuration and error of a trial without a score; None if it has one."""
    folder = RunFolder.at(runs, run)
    if not folder.folder.exists("run.json"):
        return None
    trials = folder.trials()
    if not has_score(trials).any() and wanted.lower() == BEST:
        return None
    number = trial_number(run, trials, wanted, folder.info().metric)
    if has_score(trials)[number]:
        return None
    row = {str(key): value for key, value in trials.iloc[number].items()}
    error = row["error"] if isinstance(row["error"], str) else ""
    return f"{run}:{number}", str(row["status"]), config_of(row, folder.info().space), error
