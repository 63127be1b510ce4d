"""Rank trials: one board per set of comparable runs."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.dataset.choice_correction import MAX_TRIALS
from data.dataset.intervals import LEVEL, accuracy_interval, wilson
from data.dataset.paired_tests import sign_flip_test
from data.dataset.scores import COLUMNS as SCORES
from data.dataset.scores import merit, score, sign
from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from data.io.command_names import command_name
from results.evaluation.correction import correct_best
from results.evaluation.groups import groups_by_track, track_groups
from results.ranking.comparable import (
    COLUMNS,
    OPTIONAL,
    Group,
    correct_or_unknown,
    group_runs,
    has_score,
    read_runs,
)
from results.ranking.entries import MAX_CANDIDATES, Board, Entry, FamilyOrder
from search.storage.predictions import Candidate, PredictionReader, scores_on_common
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo


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
    readable_runs = read_runs(RunFolder.all(runs), names)
    if not readable_runs:
        raise RunError(
            f"--runs {runs}: no runs found; start one with '{command_name('search.run')} --family NAME"
            f" --runs {shlex.quote(str(runs))}'"
        )
    family_runs = [
        (run, info, trials) for run, info, trials in readable_runs if family in (None, info.family)
    ]
    if not family_runs:
        raise RunError(f"--family {family}: no run of this family in {runs}")
    in_order = sorted(family_runs, key=lambda record: record[1].created, reverse=True)
    joined, unscored_runs = group_runs(in_order)
    if not joined:
        raise RunError(f"--runs {runs}: no trial has ended with a score yet; wait for a search or resume it")
    ranked: list[Board] = []
    for groups in joined:
        board = _board(groups, top)
        ranked.append(replace(board, number=len(ranked) + 1, why=_why(board.info, ranked)))
    return ranked, unscored_runs


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


@dataclass(frozen=True)
class _Ranking:
    """The scored trials of runs, best first, as rows of their joined tables."""

    group: Group
    table: dict[str, list[object]]
    run_of_row: np.ndarray
    first_rows: np.ndarray
    best_first: list[int]

    @classmethod
    def of(cls, group: Group) -> _Ranking:
        lengths = [len(trials["status"]) for trials in group.tables]
        table = {
            name: [value for part in group.tables for value in part[name]] for name in (*COLUMNS, *OPTIONAL)
        }
        metric = group.metric
        score, loss = (np.array(table[name], dtype=np.float64) for name in (SCORES[metric], "val_loss"))
        with_score = np.flatnonzero(has_score(table))
        return cls(
            group,
            table,
            np.repeat(np.arange(len(lengths)), lengths),
            np.cumsum([0, *lengths[:-1]]),
            with_score[np.lexsort((loss[with_score], -sign(metric) * score[with_score]))].tolist(),
        )

    def info(self, row: int) -> RunInfo:
        """Return the record of a row's run."""
        return self.group.infos[self.run_of_row[row]]

    def candidate(self, row: int) -> Candidate:
        """Return what is needed to read the predictions of a row."""
        run = self.group.runs[self.run_of_row[row]]
        number = row - int(self.first_rows[self.run_of_row[row]])
        return Candidate(
            run,
            self.info(row).classes,
            str(self.table["trial_id"][row]),
            int(self.table["best_epoch"][row]),  # type: ignore[call-overload]
            f"{run.name}:{number}",
            self.info(row).family,
        )

    def entries(self, rows: Sequence[int], top: int) -> list[Entry]:
        """Select the best trials of some rows, the best of each family, and all BASELINEs."""
        accuracy = np.array(self.table["val_accuracy"], dtype=np.float64)
        n = np.array([info.n_validated for info in self.group.infos])[self.run_of_row]
        low, high = wilson((accuracy * n).round(), n)
        lift = 100 * (accuracy - accuracy[self.first_rows[self.run_of_row]])
        entries: list[Entry] = []
        families: set[str] = set()
        for rank, row in enumerate(rows, start=1):
            info, number = self.info(row), row - int(self.first_rows[self.run_of_row[row]])
            if rank > top and number and info.family in families:
                continue
            families.add(info.family)
            values = {name: self.table[name][row] for name in (*COLUMNS, *OPTIONAL)}
            run = self.group.runs[self.run_of_row[row]].name
            entries.append(
                Entry(
                    rank=rank,
                    name=f"{run}:{number}",
                    run=run,
                    family=info.family,
                    trial_id=str(values["trial_id"]),
                    baseline=not number,
                    val_accuracy=float(accuracy[row]),
                    low=float(low[row]),
                    high=float(high[row]),
                    n=int(n[row]),
                    lift=None if np.isnan(lift[row]) else float(lift[row]),
                    epochs=int(values["epochs"]),  # type: ignore[call-overload]
                    best_epoch=int(values["best_epoch"]),  # type: ignore[call-overload]
                    params=int(values["params"]),  # type: ignore[call-overload]
                    seconds=float(values["seconds"]),  # type: ignore[arg-type]
                    status=str(values["status"]),
                    synthetic=info.cache.synthetic,
                    val_loss=_number(values["val_loss"]),
                    val_macro_f1=_number(values["val_macro_f1"]),
                    val_balanced_accuracy=_number(values["val_balanced_accuracy"]),
                    train_accuracy=_number(values["train_accuracy"]),
                )
            )
        return entries


def _number(value: object) -> float | None:
    """Return a number of a table; None where it is missing."""
    return float(value) if isinstance(value, float) and value == value else None


def _board(groups: Sequence[Group], top: int) -> Board:
    """Rank the trials of comparable runs and select the entries to show."""
    joined = Group(
        [run for group in groups for run in group.runs],
        [info for group in groups for info in group.infos],
        [table for group in groups for table in group.tables],
    )
    ranking = _Ranking.of(joined)
    rows, family_order = ranking.best_first, None
    if len(groups) > 1:
        rows_of = {
            family: [row for row in rows if ranking.info(row).family == family]
            for family in dict.fromkeys(ranking.info(row).family for row in rows)
        }
        family_order = _family_order(ranking, rows_of)
        entries = [entry for family in family_order.scores for entry in ranking.entries(rows_of[family], top)]
        rows = sorted(rows, key=lambda row: row != rows_of[next(iter(family_order.scores))][0])
    else:
        entries = ranking.entries(rows, top)
    by_name = {run.name: (run, info) for run, info in zip(joined.runs, joined.infos, strict=True)}
    correct = [correct_or_unknown(*by_name[entry.run], entry.trial_id, entry.best_epoch) for entry in entries]
    group_of = _groups(joined.runs)
    entries = [
        replace(
            _with_interval(entry, tracks, group_of),
            tied=_tied(correct[0], tracks, group_of) if number else None,
        )
        for number, (entry, tracks) in enumerate(zip(entries, correct, strict=True))
    ]
    candidates = [ranking.candidate(row) for row in rows[:MAX_TRIALS]]
    return Board(
        number=1,
        info=by_name[entries[0].run][1] if family_order else joined.infos[0],
        why="",
        entries=entries,
        ranked=len(rows),
        unranked=len(ranking.run_of_row) - len(rows),
        n_groups=_group_count(correct, group_of),
        correction=correct_best(candidates, group_of, n_ranked=len(rows), metric=joined.metric),
        family_order=family_order,
        runs=[run.name for run in joined.runs],
        single_epoch_runs=_single_epoch_runs(joined),
        candidates=candidates[:MAX_CANDIDATES],
        metric=joined.metric,
    )


def _single_epoch_runs(group: Group) -> list[str]:
    """Name the runs that score single epochs, if others score windows of epochs."""
    if all(info.score_window == 1 for info in group.infos):
        return []
    return [run.name for run, info in zip(group.runs, group.infos, strict=True) if info.score_window == 1]


def _family_order(ranking: _Ranking, rows_of: Mapping[str, Sequence[int]]) -> FamilyOrder:
    """Order families by their best trials on the tracks that all of these validated."""
    metric = ranking.group.metric
    predictions, n_validated, of_all_folds = {}, {}, {}
    for family, rows in rows_of.items():
        candidate = ranking.candidate(rows[0])
        trial = (candidate.run, candidate.trial_id, candidate.classes, candidate.best_epoch)
        predictions[family] = PredictionReader().read(*trial)
        n_validated[family] = len(predictions[family].track_id)
        whole = PredictionReader().read_all_folds(*trial)
        if whole is not None:
            predictions[family] = whole
            value = score(whole.probabilities, whole.truth).value(metric)
            of_all_folds[family] = (value, len(whole.track_id))
    common_scores, n_common = scores_on_common(list(predictions.values()), metric)
    scores = dict(zip(predictions, common_scores, strict=True))
    in_order = sorted(scores, key=lambda family: -merit(scores[family], metric))
    return FamilyOrder(
        {family: scores[family] for family in in_order},
        n_common,
        {family: n_validated[family] for family in in_order},
        metric,
        of_all_folds,
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
