"""Rank trials: group comparable runs into tables and order their trials."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click
import numpy as np

from data.dataset.intervals import LEVEL, accuracy_interval, wilson
from data.dataset.paired_tests import sign_flip_test
from data.dataset.scores import COLUMNS, Metric, sign
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError, RunError
from results.evaluation.columns import read_columns
from results.evaluation.correction import Candidate, ChoiceCorrection, correct_best
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import SCORED
from results.ranking.comparison import correct_tracks
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef, RunInfo

TRIALS = "trials.parquet"

_COLUMNS = (
    "trial_id",
    "status",
    "epochs",
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "params",
    "seconds",
)

_Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Entry:
    """One row of a leaderboard.

    Attributes
    ----------
    rank : int
        Rank among all scored trials of the table, from 1; equal accuracies are ordered by loss.
    run, family, trial_id : str
        Run, family and name of the trial.
    baseline : bool
        Whether the trial is the BASELINE of its run.
    val_accuracy, low, high : float
        Fraction of the validated tracks that are classified correctly, and its 95 % interval.
    n : int
        Number of validated tracks.
    lift : float or None
        Percentage points above the BASELINE of its run; None if the BASELINE has no score.
    epochs, best_epoch, params : int
        Epochs trained, the epoch of the score, trainable parameters.
    seconds : float
        Training time.
    status : str
        ``COMPLETE``, or ``PRUNED`` for a trial that was stopped early.
    synthetic : bool
        Whether the data was synthesised.
    tied : bool or None
        Whether the paired test, on the tracks that both trials validated, finds no difference from the first
        entry; None for the first entry itself, and where predictions were not stored.
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
    tied: bool | None = None


@dataclass(frozen=True)
class Board:
    """One table of the leaderboard: trials on the same data and split.

    Attributes
    ----------
    number : int
        Number of the table, from 1.
    info : RunInfo
        Record of the first run; its data and split are those of all runs of the table.
    why : str
        Why the trials are not in an earlier table; empty for the first table.
    entries : list of Entry
        The best trials, the best of each family and the BASELINE of each run, by rank.
    ranked, unranked : int
        Number of trials with a score, and without one (failed or unfinished).
    n_groups : int or None
        Number of groups of the validated tracks, used by intervals and tests; None if no group holds several
        tracks, so that tracks are treated as independent.
    correction : ChoiceCorrection or None
        The score of the first entry, corrected for its selection.
    """

    number: int
    info: RunInfo
    why: str
    entries: list[Entry]
    ranked: int
    unranked: int
    n_groups: int | None = None
    correction: ChoiceCorrection | None = None


@dataclass(frozen=True)
class _Ranked:
    """The ranked trials of a group of runs; the attributes are those of `Board`."""

    entries: list[Entry]
    ranked: int
    unranked: int
    n_groups: int | None
    correction: ChoiceCorrection | None


@dataclass
class _Group:
    """Runs on the same data and split, with their records and tables of trials."""

    runs: list[RunFolder] = field(default_factory=list)
    infos: list[RunInfo] = field(default_factory=list)
    tables: list[_Columns] = field(default_factory=list)


def boards(
    runs: str, *, family: str | None = None, top: int = 10, names: Collection[str] | None = None
) -> tuple[list[Board], list[str]]:
    """Rank the trials of all runs in a folder.

    Parameters
    ----------
    runs : str
        Path or URI of the folder of runs.
    family : str, optional
        Rank only this family.
    top : int
        Number of best trials to keep per board.
    names : collection of str, optional
        Rank only these runs.

    Returns
    -------
    boards : list of Board
        The board with the latest run first.
    unscored_runs : list of str
        Names of the runs without a scored trial.

    Raises
    ------
    RunError
        If no run, or no trial with a score, exists. If only some runs cannot be read, they are skipped with a
        warning on standard error.
    """
    readable_runs = _read(RunFolder.all(runs), names)
    if not readable_runs:
        raise RunError(
            f"--runs {runs}: no runs found; start one with 'python -m search.run --family NAME"
            f" --runs {shlex.quote(str(runs))}'"
        )
    family_runs = [
        (run, info, trials) for run, info, trials in readable_runs if family in (None, info.family)
    ]
    if not family_runs:
        raise RunError(f"--family {family}: no run of this family in {runs}")
    groups: dict[tuple[str, str], _Group] = {}
    unscored_runs = []
    for run, info, trials in sorted(family_runs, key=lambda record: record[1].created, reverse=True):
        if trials is None or not any(_has_score(trials)):
            unscored_runs.append(run.name)
            continue
        group = groups.setdefault((info.cache.data, info.split_fingerprint), _Group())
        group.runs.append(run)
        group.infos.append(info)
        group.tables.append(trials)
    if not groups:
        raise RunError(f"--runs {runs}: no trial has ended with a score yet; wait for a search or resume it")
    ranked: list[Board] = []
    for group in groups.values():
        ranking = _entries(group, top)
        info = group.infos[0]
        ranked.append(
            Board(
                number=len(ranked) + 1,
                info=info,
                why=_why(info, ranked),
                entries=ranking.entries,
                ranked=ranking.ranked,
                unranked=ranking.unranked,
                n_groups=ranking.n_groups,
                correction=ranking.correction,
            )
        )
    return ranked, unscored_runs


def _read(
    runs: Sequence[RunFolder], names: Collection[str] | None
) -> list[tuple[RunFolder, RunInfo, _Columns | None]]:
    """Read the records and trials of runs; skip an unreadable run unless it was named or is the only one."""
    readable_runs: list[tuple[RunFolder, RunInfo, _Columns | None]] = []
    errors: list[Exception] = []
    for run in runs:
        if names is not None and run.name not in names:
            continue
        try:
            info = run.info()
            # Earlier versions stored fewer metrics; each run has the one that it is ranked by.
            columns = [*dict.fromkeys((*_COLUMNS, COLUMNS[info.metric]))]
            trials = read_columns(run, TRIALS, columns) if run.folder.exists(TRIALS) else None
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


def _why(info: RunInfo, earlier: Sequence[Board]) -> str:
    """Say how a board differs from the earlier ones."""
    if not earlier:
        return ""
    for board in earlier:
        if board.info.cache.data == info.cache.data:
            return (
                f"same data as table {board.number}, but another split: the models were trained on other"
                " tracks, so their ranks are not comparable"
            )
    return "other data than in the earlier tables, so the accuracies are not comparable"


def _has_score(trials: _Columns) -> list[bool]:
    """Mask of the trials that are ranked."""
    return [
        status in SCORED and accuracy is not None and accuracy == accuracy
        for status, accuracy in zip(trials["status"], trials["val_accuracy"], strict=True)
    ]


def _entries(group: _Group, top: int) -> _Ranked:
    """Rank the trials of a group and select the entries to show."""
    lengths = [len(trials["status"]) for trials in group.tables]
    baseline_rows = np.cumsum([0, *lengths[:-1]])
    run_of_row = np.repeat(np.arange(len(lengths)), lengths)
    metrics = {info.metric for info in group.infos}
    metric: Metric = metrics.pop() if len(metrics) == 1 else "accuracy"
    names = {*_COLUMNS, COLUMNS[metric]}
    table = {name: [value for part in group.tables for value in part[name]] for name in names}
    accuracy, loss, score = (
        np.array(table[name], dtype=np.float64) for name in ("val_accuracy", "val_loss", COLUMNS[metric])
    )
    with_score = np.flatnonzero(_has_score(table))
    best_first = with_score[np.lexsort((loss[with_score], -sign(metric) * score[with_score]))]
    n = np.array([info.n_validated for info in group.infos])[run_of_row]
    low, high = wilson((accuracy * n).round(), n)
    lift = 100 * (accuracy - accuracy[baseline_rows[run_of_row]])

    entries: list[Entry] = []
    families: set[str] = set()
    for rank, row in enumerate(best_first.tolist(), start=1):
        info = group.infos[run_of_row[row]]
        baseline = bool(row == baseline_rows[run_of_row[row]])
        if rank > top and not baseline and info.family in families:
            continue
        families.add(info.family)
        entry = Entry(
            rank=rank,
            run=group.runs[run_of_row[row]].name,
            family=info.family,
            trial_id=str(table["trial_id"][row]),
            baseline=baseline,
            val_accuracy=float(accuracy[row]),
            low=float(low[row]),
            high=float(high[row]),
            n=int(n[row]),
            lift=None if np.isnan(lift[row]) else float(lift[row]),
            epochs=int(table["epochs"][row]),
            best_epoch=int(table["best_epoch"][row]),
            params=int(table["params"][row]),
            seconds=float(table["seconds"][row]),
            status=str(table["status"][row]),
            synthetic=info.cache.synthetic,
        )
        entries.append(entry)
    by_name = {folder.name: (folder, info) for folder, info in zip(group.runs, group.infos, strict=True)}
    correct = [_correct_tracks(entry, by_name) for entry in entries]
    group_of = _groups(group.runs)
    entries = [
        _with_interval(entry, tracks, group_of) for entry, tracks in zip(entries, correct, strict=True)
    ]
    entries = [
        entries[0],
        *(
            replace(entry, tied=_tied(correct[0], tracks, group_of))
            for entry, tracks in zip(entries[1:], correct[1:], strict=True)
        ),
    ]
    candidates = [
        Candidate(
            group.runs[run_of_row[row]],
            group.infos[run_of_row[row]].classes,
            str(table["trial_id"][row]),
            int(table["best_epoch"][row]),
        )
        for row in best_first.tolist()
    ]
    return _Ranked(
        entries=entries,
        ranked=len(with_score),
        unranked=len(run_of_row) - len(with_score),
        n_groups=_group_count(correct, group_of),
        correction=correct_best(candidates, group_of),
    )


def _groups(runs: Sequence[RunFolder]) -> dict[str, str]:
    """Read the groups of the tracks from the first run that stored them."""
    return next(filter(None, map(groups_by_track, runs)), {})


def _group_count(correct: Sequence[dict[str, bool] | None], group_of: Mapping[str, str]) -> int | None:
    """Count the groups of the validated tracks; None if the tracks are treated as independent."""
    tracks = next(filter(None, correct), {})
    groups = track_groups(list(tracks), group_of) if tracks else None
    return None if groups is None else groups.n_groups


def _with_interval(entry: Entry, correct: dict[str, bool] | None, group_of: Mapping[str, str]) -> Entry:
    """Replace the interval of an entry by a clustered one if its tracks come in groups."""
    groups = None if not correct else track_groups(list(correct), group_of)
    if groups is None or correct is None:
        return entry
    low, high = accuracy_interval(np.array(list(correct.values())), groups)
    return replace(entry, low=float(low), high=float(high))


def _correct_tracks(entry: Entry, runs: Mapping[str, tuple[RunFolder, RunInfo]]) -> dict[str, bool] | None:
    """Whether an entry classifies each track correctly; None if its predictions were not stored."""
    run, info = runs[entry.run]
    try:
        return correct_tracks(run, entry.trial_id, info.classes, entry.best_epoch)
    except RunError:
        return None


def _tied(
    first: dict[str, bool] | None, other: dict[str, bool] | None, group_of: Mapping[str, str]
) -> bool | None:
    """Whether the paired test finds no difference, on the tracks that both trials validated."""
    if first is None or other is None:
        return None
    common = sorted(first.keys() & other.keys())
    difference = np.array([int(first[track]) - int(other[track]) for track in common])
    groups = track_groups(common, group_of) or TrackGroups.independent(len(common))
    return sign_flip_test(difference, groups) >= 1 - LEVEL
