"""Read runs, and find those whose trials can be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from data.dataset.scores import COLUMNS as SCORES
from data.dataset.scores import Metric, merit
from data.dataset.splits import TEST
from data.errors import HarnessError, RunError
from results.evaluation.columns import read_columns
from search.storage.predictions import PredictionReader
from search.storage.ranking import SCORED
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef, RunInfo

TRIALS = "trials.parquet"

COLUMNS = ("trial_id", "status", "epochs", "best_epoch", "val_accuracy", "val_loss", "params", "seconds")
"""Columns of ``trials.parquet`` that ranking needs."""

OPTIONAL = ("val_macro_f1", "val_balanced_accuracy", "train_accuracy")
"""Columns that older runs lack."""

Columns = dict[str, list[Any]]


@dataclass
class Group:
    """Runs on the same data and split, with their records and tables of trials."""

    runs: list[RunFolder] = field(default_factory=list)
    infos: list[RunInfo] = field(default_factory=list)
    tables: list[Columns] = field(default_factory=list)

    @property
    def families(self) -> set[str]:
        """The families of the runs."""
        return {info.family for info in self.infos}

    @property
    def metric(self) -> Metric:
        """The metric that ranks the trials: that of all runs, or accuracy if they differ."""
        metrics = {info.metric for info in self.infos}
        return metrics.pop() if len(metrics) == 1 else "accuracy"

    def winner(self) -> dict[str, bool]:
        """Whether the best trial classifies each validated track correctly; empty if that is unknown."""
        best: tuple[float, RunFolder, RunInfo, str, int] | None = None
        for run, info, table in zip(self.runs, self.infos, self.tables, strict=True):
            for row, scored in enumerate(has_score(table)):
                score = merit(table[SCORES[self.metric]][row], self.metric) if scored else 0.0
                if scored and (best is None or score > best[0]):
                    best = (score, run, info, str(table["trial_id"][row]), int(table["best_epoch"][row]))
        return {} if best is None else correct_or_unknown(*best[1:]) or {}


def group_runs(
    records: Iterable[tuple[RunFolder, RunInfo, Columns | None]],
) -> tuple[list[list[Group]], list[str]]:
    """Group the runs by data and split, and join groups of different families with the same test set.

    Parameters
    ----------
    records : iterable of (RunFolder, RunInfo, Columns or None)
        The runs, latest first.

    Returns
    -------
    list of list of Group
        One list per board.
    list of str
        Names of the runs without a scored trial.
    """
    groups: dict[tuple[str, str], Group] = {}
    unscored_runs = []
    for run, info, trials in records:
        if trials is None or not any(has_score(trials)):
            unscored_runs.append(run.name)
            continue
        group = groups.setdefault((info.cache.data, info.split_fingerprint), Group())
        group.runs.append(run)
        group.infos.append(info)
        group.tables.append(trials)
    joined: list[list[Group]] = []
    for group in groups.values():
        board = next((board for board in joined if _joinable(board, group)), None)
        if board is None:
            joined.append([group])
        else:
            board.append(group)
    return joined, unscored_runs


def _joinable(board: Sequence[Group], group: Group) -> bool:
    """Whether a group's families are new on a board of the same data, with the same held-out tracks."""
    first = board[0]
    if first.infos[0].cache.data != group.infos[0].cache.data:
        return False
    if any(other.families & group.families or other.metric != group.metric for other in board):
        return False
    try:
        test_sets = [_test_tracks(first.runs[0]), _test_tracks(group.runs[0])]
    except (HarnessError, OSError):
        return False
    if test_sets[0] != test_sets[1]:
        return False
    return bool(set.intersection(*({*other.winner()} for other in (*board, group))))


def _test_tracks(run: RunFolder) -> set[str]:
    """Read the held-out tracks of a run."""
    columns = read_columns(run, "splits.parquet", ["track_id", "fold"])
    return {track for track, fold in zip(columns["track_id"], columns["fold"], strict=True) if fold == TEST}


def correct_or_unknown(
    run: RunFolder, info: RunInfo, trial_id: str, best_epoch: int
) -> dict[str, bool] | None:
    """Whether a trial classifies each track correctly; None if its predictions were not stored."""
    try:
        return PredictionReader().read(run, trial_id, info.classes, best_epoch).correct()
    except RunError:
        return None


def has_score(trials: Columns) -> list[bool]:
    """Mask of the trials that are ranked."""
    return [
        status in SCORED and accuracy is not None and accuracy == accuracy
        for status, accuracy in zip(trials["status"], trials["val_accuracy"], strict=True)
    ]


def read_runs(
    runs: Sequence[RunFolder], names: Collection[str] | None
) -> list[tuple[RunFolder, RunInfo, Columns | None]]:
    """Read the records and trials of runs; skip an unreadable run unless it was named or is the only one."""
    readable_runs: list[tuple[RunFolder, RunInfo, Columns | None]] = []
    errors: list[Exception] = []
    for run in runs:
        if names is not None and run.name not in names:
            continue
        try:
            info = run.info()
            exists = run.folder.exists(TRIALS)
            trials = read_columns(run, TRIALS, COLUMNS, optional=OPTIONAL) if exists else None
            readable_runs.append((run, info, trials))
        except (HarnessError, OSError) as error:
            if names is not None:
                raise
            errors.append(error)
    if errors and not readable_runs:
        raise errors[0]
    for skipped in errors:
        click.echo(f"Skipped: {' '.join(str(skipped).split())}", err=True)
    collections = {info.cache.collection: info.cache for _, info, _ in readable_runs if info.cache.collection}
    return [
        (run, _with_collection(info, collections.values()), trials) for run, info, trials in readable_runs
    ]


def _with_collection(info: RunInfo, caches: Iterable[CacheRef]) -> RunInfo:
    """Give a run of version 0.1, which recorded no collection, that of a later run on the same data."""
    if info.cache.collection is not None:
        return info
    collection = next((other.collection for other in caches if other.same_collection(info.cache)), None)
    return info.model_copy(update={"cache": info.cache.model_copy(update={"collection": collection})})
