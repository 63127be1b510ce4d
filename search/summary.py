"""The last lines of a search: the best trial, its score with uncertainty, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.dataset.paired_tests import Paired
from data.dataset.scores import COLUMNS, METRIC_WORDS, difference_text, score_text
from data.io.command_names import command_name
from search.judgement import (
    JudgedTrial,
    baseline_trial,
    best_trial,
    corrected_best,
)
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
    lines = [f"Run {info.name}: {len(trials)} trials ({states})."]
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
    best = {run.name: best_trial(run) for run in runs if _has_trials(run)}
    scored_runs = sorted(
        (run for run in runs if best.get(run.name) is not None),
        key=lambda run: -_merit(best[run.name]),
    )
    minutes, seconds = divmod(round(record.seconds), 60)
    lines = [f"Search {record.name}: {len(runs)} families in {minutes}:{seconds:02d}."]
    in_order = [*scored_runs, *(run for run in runs if run not in scored_runs)]
    lines += [_family_line(run, best.get(run.name), record.stopped) for run in in_order]
    lines += [f"  {family}: left out: {reason}" for family, reason in record.left_out.items()]
    if scored_runs:
        lines += _best_lines(scored_runs[0], scored_runs[0].info())
        lines += _against_others([best[run.name] for run in scored_runs])
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


def _merit(trial: JudgedTrial | None) -> float:
    return float("-inf") if trial is None else trial.merit


def _best_lines(run: RunFolder, info: RunInfo) -> list[str]:
    """Describe the best trial: its score, the correction, the difference from the BASELINE, its settings."""
    best, baseline = best_trial(run), baseline_trial(run)
    marked = " on SYNTHETIC data" if info.cache.synthetic else ""
    tracks = f"{info.n_validated} tracks validated, {info.n_test} in the locked test set"
    if best is None:
        row = scored(run.trials(), info.metric).iloc[0]
        score = score_text(float(row[COLUMNS[info.metric]]), info.metric)
        words = METRIC_WORDS[info.metric]
        return [f"Best validation {words} {score}{marked}, without stored predictions; {tracks}."]
    low, high = best.interval()
    corrected = corrected_best(run)
    text = f"Best: {best.name}, validation {METRIC_WORDS[best.metric]} {score_text(best.score, best.metric)}"
    text += f" [{score_text(low, best.metric)}, {score_text(high, best.metric)}]{marked}"
    if corrected is not None:
        n_scored = len(scored(run.trials()))
        chosen = f"{n_scored} trials" + (" and their epochs" if corrected.epochs else "")
        if corrected.n_trials < n_scored:
            chosen += f"; only {corrected.n_trials} are used"
        shown = score_text(corrected.corrected, best.metric)
        text += f"; {shown} after correction for choosing among {chosen}"
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


def _against_others(best: Sequence[JudgedTrial | None]) -> list[str]:
    """Compare the winner with the best of the next family."""
    known = [trial for trial in best if trial is not None]
    if len(known) < 2:
        return []
    test = known[0].against(known[1])
    if test is None:
        return []
    text = f"Against {known[1].name}: {_difference(test)} on the {test.n} tracks that both validated"
    return [text + ("." if test.distinct else ", too few to tell the two apart.")]


def _difference(test: Paired) -> str:
    return difference_text(test.difference, test.low, test.high, test.metric)


def _family_line(run: RunFolder, best: JudgedTrial | None, stopped: dict[str, str]) -> str:
    info = run.info()
    if not _has_trials(run):
        return f"  {info.family}: no trial has ended"
    if best is None:
        return f"  {info.family}: no trial has a score; {first_failure(run.trials())}"
    low, high = (score_text(bound, best.metric) for bound in best.interval())
    text = f"  {info.family}: {score_text(best.score, best.metric)} [{low}, {high}] by {best.name}, "
    text += f"{len(run.trials())} trials, {len(best.track_id)} tracks validated"
    return text + (f"; stopped: {stopped[info.family]}" if info.family in stopped else "")


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
