"""The leaderboard as data: which trials stand in one table, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.errors import RunError
from results.statistics import wilson
from results.trials import has_score, scored
from spaces.training.run_folder import RunFolder, RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Entry:
    """One row of a leaderboard.

    Attributes
    ----------
    rank : int
        Place among all scored trials of the table, from 1; equal scores are told apart by their loss.
    run, family, trial_id : str
        Which trial.
    baseline : bool
        Whether it is its run's BASELINE.
    val_accuracy, low, high : float
        Share of the validated tracks that are right, and its 95 % interval.
    n : int
        Validated tracks.
    lift : float or None
        Points (hundredths) above the BASELINE of its run; None where that has no score.
    epochs, best_epoch, params : int
        Epochs trained, the epoch of the score, trainable parameters.
    seconds : float
        Time of training.
    status : str
        ``COMPLETE``, or ``PRUNED`` for one that was stopped early.
    synthetic : bool
        Whether the data was synthesised.
    """

    rank: int
    run: str
    family: str
    trial_id: str
    baseline: bool
    val_accuracy: float
    low: float
    high: float
    n: int
    lift: float | None
    epochs: int
    best_epoch: int
    params: int
    seconds: float
    status: str
    synthetic: bool


@dataclass(frozen=True)
class Board:
    """Trials that may be ranked together: the same data, the same split.

    Attributes
    ----------
    number : int
        From 1.
    info : RunInfo
        Record of the first of its runs; what concerns data and split holds for all.
    why : str
        Why it stands apart from the boards before it; empty for the first.
    entries : list of Entry
        The best, and the BASELINE of each run, by rank.
    ranked, unranked : int
        Trials with a score, and those without (failed, or not ended).
    """

    number: int
    info: RunInfo
    why: str
    entries: list[Entry]
    ranked: int
    unranked: int


@dataclass
class _Group:
    infos: list[RunInfo] = field(default_factory=list)
    tables: list[pd.DataFrame] = field(default_factory=list)


def boards(runs: str, *, family: str | None = None, top: int = 10) -> tuple[list[Board], list[str]]:
    """Rank the trials of all runs in a folder.

    Parameters
    ----------
    runs : str
        Path or URI of the runs' folder.
    family : str, optional
        Rank this family only.
    top : int
        How many of the best to keep of each board.

    Returns
    -------
    boards : list of Board
        The board with the latest run first.
    silent : list of str
        Names of runs in which no trial has ended with a score.

    Raises
    ------
    RunError
        If there is no run, or no trial with a score.
    """
    found = [(run, run.info()) for run in RunFolder.all(runs)]
    if not found:
        raise RunError(
            f"--runs {runs}: no runs here; make one with 'python -m search.run --family NAME --runs {runs}'"
        )
    chosen = [(run, info) for run, info in found if family in (None, info.family)]
    if not chosen:
        raise RunError(f"--family {family}: no run of this family in {runs}")
    groups: dict[tuple[str, str], _Group] = {}
    silent = []
    for run, info in sorted(chosen, key=lambda pair: pair[1].created, reverse=True):
        trials = run.trials() if run.folder.exists("trials.parquet") else None
        if trials is None or not has_score(trials).any():
            silent.append(info.name)
            continue
        group = groups.setdefault((info.cache.fingerprint, info.split_fingerprint), _Group())
        group.infos.append(info)
        group.tables.append(trials)
    if not groups:
        raise RunError(f"--runs {runs}: no trial has ended with a score yet; let a search go on")
    ranked: list[Board] = []
    for group in groups.values():
        entries, total, unranked = _entries(group, top)
        info = group.infos[0]
        ranked.append(Board(len(ranked) + 1, info, _why(info, ranked), entries, total, unranked))
    return ranked, silent


def _why(info: RunInfo, before: Sequence[Board]) -> str:
    """In what a board differs from the ones before it."""
    if not before:
        return ""
    for board in before:
        if board.info.cache.fingerprint == info.cache.fingerprint:
            return (
                f"the data of table {board.number}, but split in another way: its tracks are validated by"
                " models that saw other tracks, so their ranks are not comparable"
            )
    return "other data than the tables before, so their accuracies are not comparable"


def _entries(group: _Group, top: int) -> tuple[list[Entry], int, int]:
    """Best entries and BASELINEs of a group, and how many trials have, and have not, a score."""
    import pandas as pd

    # Columns are added after joining, because each addition costs as much on a small table as on a large one.
    lengths = [len(trials) for trials in group.tables]
    table = pd.concat(group.tables, ignore_index=True)
    firsts = np.cumsum([0, *lengths[:-1]])
    run = np.repeat(np.arange(len(lengths)), lengths)
    accuracy = table["val_accuracy"].to_numpy()
    table = table.assign(
        run=run,
        baseline=np.arange(len(table)) == firsts[run],
        n=np.array([info.n_validated for info in group.infos])[run],
        lift=100 * (accuracy - accuracy[firsts[run]]),
    )
    ranked = scored(table)
    low, high = wilson((ranked["val_accuracy"] * ranked["n"]).round(), ranked["n"])
    ranked = ranked.assign(rank=np.arange(1, len(ranked) + 1), low=low, high=high)
    kept = ranked[(ranked["rank"] <= top) | ranked["baseline"]]
    entries = [
        Entry(
            rank=int(row["rank"]),
            run=group.infos[row["run"]].name,
            family=group.infos[row["run"]].family,
            trial_id=str(row["trial_id"]),
            baseline=bool(row["baseline"]),
            val_accuracy=float(row["val_accuracy"]),
            low=float(row["low"]),
            high=float(row["high"]),
            n=int(row["n"]),
            lift=None if np.isnan(row["lift"]) else float(row["lift"]),
            epochs=int(row["epochs"]),
            best_epoch=int(row["best_epoch"]),
            params=int(row["params"]),
            seconds=float(row["seconds"]),
            status=str(row["status"]),
            synthetic=group.infos[row["run"]].cache.synthetic,
        )
        for row in kept.to_dict("records")
    ]
    return entries, len(ranked), len(table) - len(ranked)
