"""The leaderboard as data: which trials stand in one table, and in what order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click
import numpy as np

from data.dataset.intervals import LEVEL, accuracy_interval, wilson
from data.dataset.paired_tests import sign_flip_test
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError, RunError
from results.evaluation.columns import read_columns
from results.evaluation.correction import Candidate, ChoiceCorrection, correct_best
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import SCORED
from results.ranking.comparison import right_tracks
from search.storage.run_folder import CacheRef, RunFolder, RunInfo

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
    tied : bool or None
        Whether the paired test, on the tracks that both validated, leaves open which of this entry and the
        first is better; None for the first itself, and where a judgement was not kept.
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
        The best, the best of each family and the BASELINE of each run, by rank.
    ranked, unranked : int
        Trials with a score, and those without (failed, or not ended).
    n_groups : int or None
        Groups of the validated tracks, by which intervals and tests are computed; None where no groups of
        several tracks are known and the tracks are taken as independent.
    correction : ChoiceCorrection or None
        The score of the first entry, corrected for choosing it.
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
    """What a `Board` shows of a group of runs."""

    entries: list[Entry]
    ranked: int
    unranked: int
    n_groups: int | None
    correction: ChoiceCorrection | None


@dataclass
class _Group:
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
        Path or URI of the runs' folder.
    family : str, optional
        Rank this family only.
    top : int
        How many of the best to keep of each board.
    names : collection of str, optional
        Rank these runs only.

    Returns
    -------
    boards : list of Board
        The board with the latest run first.
    silent : list of str
        Names of runs in which no trial has ended with a score.

    Raises
    ------
    RunError
        If there is no run, or no trial with a score. A run among others that cannot be read is left out, and
        why is told on standard error.
    """
    found = _read(RunFolder.all(runs), names)
    if not found:
        raise RunError(
            f"--runs {runs}: no runs here; make one with 'python -m search.run --family NAME --runs {runs}'"
        )
    chosen = [one for one in found if family in (None, one[1].family)]
    if not chosen:
        raise RunError(f"--family {family}: no run of this family in {runs}")
    groups: dict[tuple[str, str], _Group] = {}
    silent = []
    for run, info, trials in sorted(chosen, key=lambda one: one[1].created, reverse=True):
        if trials is None or not any(_has_score(trials)):
            silent.append(run.name)
            continue
        group = groups.setdefault((info.cache.data, info.split_fingerprint), _Group())
        group.runs.append(run)
        group.infos.append(info)
        group.tables.append(trials)
    if not groups:
        raise RunError(f"--runs {runs}: no trial has ended with a score yet; let a search go on")
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
    return ranked, silent


def _read(
    runs: Sequence[RunFolder], names: Collection[str] | None
) -> list[tuple[RunFolder, RunInfo, _Columns | None]]:
    """Read the records and the trials of runs; one that cannot be read takes none of the others down."""
    found: list[tuple[RunFolder, RunInfo, _Columns | None]] = []
    failed: list[Exception] = []
    for run in runs:
        if names is not None and run.name not in names:
            continue
        try:
            info = run.info()
            trials = read_columns(run, TRIALS, _COLUMNS) if run.folder.exists(TRIALS) else None
            found.append((run, info, trials))
        except (HarnessError, OSError) as error:
            if names is not None:
                raise
            failed.append(error)
    if failed and not found:
        raise failed[0]
    for one in failed:
        click.echo(f"Left out: {' '.join(str(one).split())}", err=True)
    collections = {info.cache.collection: info.cache for _, info, _ in found if info.cache.collection}
    return [(run, _with_collection(info, collections.values()), trials) for run, info, trials in found]


def _with_collection(info: RunInfo, known: Iterable[CacheRef]) -> RunInfo:
    """Give a run of version 0.1 the collection of a later run on the same data, if there is one."""
    if info.cache.collection is not None:
        return info
    collection = next((other.collection for other in known if other.same_collection(info.cache)), None)
    return info.model_copy(update={"cache": info.cache.model_copy(update={"collection": collection})})


def _why(info: RunInfo, before: Sequence[Board]) -> str:
    """In what a board differs from the ones before it."""
    if not before:
        return ""
    for board in before:
        if board.info.cache.data == info.cache.data:
            return (
                f"the data of table {board.number}, but split in another way: its tracks are validated by"
                " models that saw other tracks, so their ranks are not comparable"
            )
    return "other data than the tables before, so their accuracies are not comparable"


def _has_score(trials: _Columns) -> list[bool]:
    return [
        status in SCORED and accuracy is not None and accuracy == accuracy
        for status, accuracy in zip(trials["status"], trials["val_accuracy"], strict=True)
    ]


def _entries(group: _Group, top: int) -> _Ranked:
    """Rank the trials of a group and choose the entries to show."""
    lengths = [len(trials["status"]) for trials in group.tables]
    firsts = np.cumsum([0, *lengths[:-1]])
    run = np.repeat(np.arange(len(lengths)), lengths)
    table = {name: [value for part in group.tables for value in part[name]] for name in _COLUMNS}
    accuracy, loss = (np.array(table[name], dtype=np.float64) for name in ("val_accuracy", "val_loss"))
    with_score = np.flatnonzero(_has_score(table))
    best_first = with_score[np.lexsort((loss[with_score], -accuracy[with_score]))]
    n = np.array([info.n_validated for info in group.infos])[run]
    low, high = wilson((accuracy * n).round(), n)
    lift = 100 * (accuracy - accuracy[firsts[run]])

    entries: list[Entry] = []
    families: set[str] = set()
    for rank, row in enumerate(best_first.tolist(), start=1):
        info = group.infos[run[row]]
        baseline = bool(row == firsts[run[row]])
        if rank > top and not baseline and info.family in families:
            continue
        families.add(info.family)
        entry = Entry(
            rank=rank,
            run=group.runs[run[row]].name,
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
    rights = [_right(entry, by_name) for entry in entries]
    group_of = _groups(group.runs)
    marked = [_with_interval(entry, right, group_of) for entry, right in zip(entries, rights, strict=True)]
    marked = [
        marked[0],
        *(
            replace(entry, tied=_tied(rights[0], right, group_of))
            for entry, right in zip(marked[1:], rights[1:], strict=True)
        ),
    ]
    candidates = [
        Candidate(
            group.runs[run[row]],
            group.infos[run[row]].classes,
            str(table["trial_id"][row]),
            int(table["best_epoch"][row]),
        )
        for row in best_first.tolist()
    ]
    return _Ranked(
        entries=marked,
        ranked=len(with_score),
        unranked=len(run) - len(with_score),
        n_groups=_group_count(rights, group_of),
        correction=correct_best(candidates, group_of),
    )


def _groups(runs: Sequence[RunFolder]) -> dict[str, str]:
    """Read the groups of the tracks from the first run that stored them."""
    return next(filter(None, map(groups_by_track, runs)), {})


def _group_count(rights: Sequence[dict[str, bool] | None], group_of: Mapping[str, str]) -> int | None:
    """Count the groups of the validated tracks; None where the tracks are taken as independent."""
    tracks = next(filter(None, rights), {})
    groups = track_groups(list(tracks), group_of) if tracks else None
    return None if groups is None else groups.n_groups


def _with_interval(entry: Entry, right: dict[str, bool] | None, group_of: Mapping[str, str]) -> Entry:
    """Widen the interval of an entry if its tracks come in groups."""
    groups = None if not right else track_groups(list(right), group_of)
    if groups is None or right is None:
        return entry
    low, high = accuracy_interval(np.array(list(right.values())), groups)
    return replace(entry, low=float(low), high=float(high))


def _right(entry: Entry, runs: Mapping[str, tuple[RunFolder, RunInfo]]) -> dict[str, bool] | None:
    """Whether an entry gets each track right; None where its judgement was not kept."""
    run, info = runs[entry.run]
    try:
        return right_tracks(run, entry.trial_id, info.classes, entry.best_epoch)
    except RunError:
        return None


def _tied(
    first: dict[str, bool] | None, other: dict[str, bool] | None, group_of: Mapping[str, str]
) -> bool | None:
    """Whether the paired test cannot tell which of two is better, on the tracks that both validated."""
    if first is None or other is None:
        return None
    both = sorted(first.keys() & other.keys())
    difference = np.array([int(first[track]) - int(other[track]) for track in both])
    groups = track_groups(both, group_of) or TrackGroups.independent(len(both))
    return sign_flip_test(difference, groups) >= 1 - LEVEL
