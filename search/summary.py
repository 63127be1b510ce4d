"""The last lines of a search: the best trial, its score with uncertainty, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.dataset.paired_tests import Paired
from data.dataset.scores import COLUMNS, METRIC_WORDS, Metric, difference_text, interval_text, score_text
from data.io.command_names import command_name
from data.io.counts import counted
from search.judgement import (
    JudgedTrial,
    baseline_trial,
    best_trial,
    corrected_best,
    family_winner,
    in_order,
)
from search.storage.choice import CorrectedChoice
from search.storage.predictions import scores_on_common
from search.storage.ranking import scored
from search.storage.run_folder import RunFolder, first_failure
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    from search.rounds.api import FamilySearch

_DIGITS = 3


def run_lines(run: RunFolder) -> list[str]:
    """Describe the result of a run that has ended.

    Parameters
    ----------
    run : RunFolder
        The run.

    Returns
    -------
    list of str
        Lines for the user; the last is the next command.
    """
    info, trials = run.info(), run.trials()
    states = ", ".join(f"{count} {status}" for status, count in trials["status"].value_counts().items())
    lines = [f"Run {info.name}: {counted(len(trials), 'trial')} ({states})."]
    if has_score(run):
        lines += _best_lines(run, info)
    lines += _warm_start_lines(info)
    if info.reason in ("target", "stagnation", "time budget"):
        option = info.reason.replace(" ", "-")
        lines.append(f"Ended early by --{option}; --extend {run.typed} --trials N adds trials.")
    if info.status != "finished":
        return [*lines, f"Interrupted. Resume with: {command_name('search.run')} --resume {run.typed}"]
    if not has_score(run):
        return [*lines, f"No trial has a score; {first_failure(trials)}"]
    return [*lines, *_next_lines(run, [run])]


def search_lines(search: FamilySearch) -> list[str]:
    """Describe the result of a search over several families; the families are ordered by their best trials.

    Parameters
    ----------
    search : FamilySearch
        The search.
    """
    record, runs = search.record(), search.runs()
    by_name = {run.name: run for run in runs}
    best = {run.name: trial for run in runs if _has_trials(run) and (trial := best_trial(run)) is not None}
    winners = in_order([winner for run in runs if run.name in best and (winner := family_winner(run))])
    scored_runs = [by_name[winner.run] for winner in winners]
    minutes, seconds = divmod(round(record.seconds), 60)
    lines = [f"Search {record.name}: {len(runs)} families in {minutes}:{seconds:02d}."]
    ordered = [*scored_runs, *(run for run in runs if run.name not in best)]
    of_all_folds = {winner.run: winner for winner in winners}
    lines += [
        _family_line(run, best.get(run.name), of_all_folds.get(run.name), record.stopped) for run in ordered
    ]
    lines += [f"  {family}: left out: {reason}" for family, reason in record.left_out.items()]
    if scored_runs:
        lines += _order_lines(winners)
        lines += _best_lines(scored_runs[0], scored_runs[0].info(), scored_runs)
        lines += _against_next(winners)
    if record.status != "finished":
        resume = f"{command_name('search.run')} --resume {search.typed}"
        return [*lines, f"Interrupted. Resume with: {resume}"]
    if not scored_runs:
        return [*lines, "No trial of any family has a score; 'results.report' shows the reasons."]
    extend = f"{command_name('search.run')} --extend {search.typed} --time-budget 3600"
    return [*lines, *_next_lines(scored_runs[0], runs), f"      {extend}"]


def has_score(run: RunFolder) -> bool:
    """Return whether any trial of a run has a score."""
    return _has_trials(run) and not scored(run.trials()).empty


def _has_trials(run: RunFolder) -> bool:
    return run.folder.exists("trials.parquet")


def _order_lines(winners: Sequence[JudgedTrial]) -> list[str]:
    """Say on which tracks families were compared, if these are not all that each validated."""
    metric = winners[0].metric
    scores, n_common = scores_on_common([winner.predictions for winner in winners], metric)
    if not n_common or all(len(winner.track_id) == n_common for winner in winners):
        return []
    by_run = ", ".join(
        f"{winner.run} {score_text(value, metric)}" for winner, value in zip(winners, scores, strict=True)
    )
    return [
        f"Families are ordered by their best trials on the {n_common} tracks that all validated: {by_run}."
    ]


def _best_lines(run: RunFolder, info: RunInfo, searched: Sequence[RunFolder] = ()) -> list[str]:
    """Describe the best trial: its score, the correction, the difference from the BASELINE, its settings.

    The correction is for the choice among the trials of all runs that were searched together.
    """
    best, baseline = best_trial(run), baseline_trial(run)
    marked = " on SYNTHETIC data" if info.cache.synthetic else ""
    tracks = f"{info.n_validated} tracks validated, {info.n_test} in the locked test set"
    if best is None:
        row = scored(run.trials(), info.metric).iloc[0]
        score = score_text(float(row[COLUMNS[info.metric]]), info.metric)
        words = METRIC_WORDS[info.metric]
        return [f"Best validation {words} {score}{marked}, without stored predictions; {tracks}."]
    choice = corrected_best(run, [other for other in searched if other.name != run.name])
    text = f"Best: {best.name}, validation {METRIC_WORDS[best.metric]} {score_text(best.score, best.metric)}"
    text += f" {interval_text(*best.interval(), best.metric)}{marked}"
    text += _on_all_folds(best, family_winner(run))
    if choice is not None:
        corrected = choice.corrected
        n_scored = sum(len(scored(each.trials())) for each in searched or (run,))
        chosen = f"{n_scored} trials" + (" and their epochs" if corrected.epochs else "")
        if corrected.n_trials < n_scored:
            chosen += f"; only {corrected.n_trials} are used"
        shown = score_text(corrected.corrected, best.metric)
        text += f"; {_raw_on_common(choice, best.metric)}{shown} after correction for choosing among {chosen}"
    lines = [f"{text}.", _baseline_line(best, baseline, tracks)]
    settings = " ".join(f"{name}={_setting(value)}" for name, value in sorted(best.config.items()))
    return [*lines, f"Settings: {settings}"]


def _baseline_line(best: JudgedTrial, baseline: JudgedTrial | None, tracks: str) -> str:
    if best.number == 0:
        return f"No trial is better than the BASELINE, {best.name}; {tracks}."
    test = None if baseline is None else best.against(baseline)
    if baseline is None or test is None:
        return f"The BASELINE has no score; {tracks}."
    text = (
        f"BASELINE {score_text(baseline.score, baseline.metric)}; difference in {METRIC_WORDS[test.metric]}"
        f" {_difference(test)}; {tracks}."
    )
    if not test.distinct:
        text += f" {test.n} tracks are too few to tell the two apart (p = {test.p_value:.2f})."
    return text


def _raw_on_common(choice: CorrectedChoice, metric: Metric) -> str:
    """State the uncorrected score on the tracks of the correction if the best trial validated others too."""
    if choice.n_tracks is None:
        return ""
    raw = score_text(choice.corrected.raw, metric)
    return f"{raw} on the {choice.n_tracks} tracks that all trials validated, "


def _against_next(winners: Sequence[JudgedTrial]) -> list[str]:
    """Compare the winner with the best of the next family."""
    if len(winners) < 2:
        return []
    test = winners[0].against(winners[1])
    if test is None:
        return []
    text = f"Against {winners[1].name}: {_difference(test)} on the {test.n} tracks that both validated"
    return [text + ("." if test.distinct else ", too few to tell the two apart.")]


def _difference(test: Paired) -> str:
    return difference_text(test.difference, test.low, test.high, test.metric)


def _family_line(
    run: RunFolder, best: JudgedTrial | None, winner: JudgedTrial | None, stopped: dict[str, str]
) -> str:
    info = run.info()
    if not _has_trials(run):
        return f"  {info.family}: no trial has ended"
    if best is None:
        return f"  {info.family}: no trial has a score; {first_failure(run.trials())}"
    interval = interval_text(*best.interval(), best.metric)
    text = f"  {info.family}: {score_text(best.score, best.metric)} {interval} by {best.name}, "
    text += f"{counted(len(run.trials()), 'trial')}, {len(best.track_id)} tracks validated"
    text += _on_all_folds(best, winner)
    return text + (f"; stopped: {stopped[info.family]}" if info.family in stopped else "")


def _on_all_folds(best: JudgedTrial, winner: JudgedTrial | None) -> str:
    """State the score on all tracks of a hold-out trial that was trained on all folds; else nothing."""
    if winner is None or len(winner.track_id) == len(best.track_id):
        return ""
    score = score_text(winner.score, winner.metric)
    interval = interval_text(*winner.interval(), winner.metric)
    return f"; trained on all folds: {score} {interval} of {len(winner.track_id)}"


def _warm_start_lines(info: RunInfo) -> list[str]:
    warm = info.warm_start or {}
    if not warm.get("test_tracks_seen"):
        return []
    return [
        f"Warning: {warm['test_tracks_seen']} test tracks were used by run {warm['run']!r}, which"
        " warm-started this search: a test score will be too high."
    ]


def _next_lines(best: RunFolder, runs: Sequence[RunFolder]) -> list[str]:
    place = _runs_option(best)
    names = " ".join(shlex.quote(run.name) for run in runs)
    out = shlex.quote(f"exports/{best.name}")
    return [
        f"Next: {command_name('results.export')} {best.typed} --out {out}",
        f"      {command_name('results.report')} {names}{place}",
    ]


def _runs_option(run: RunFolder) -> str:
    runs = run.folder.uri.removesuffix(f"/{run.name}")
    return "" if Path(runs) == Path("runs") else f" --runs {shlex.quote(runs)}"


def _setting(value: object) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else shlex.quote(str(value))
