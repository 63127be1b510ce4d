"""The page of the report: one HTML file that opens with the answer and works offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from data.errors import RunError
from data.inspection.clips import Clip
from data.io.folder import Folder
from data.io.pages import page_templates
from results.evaluation.descriptions import split
from results.evaluation.predictions import OutOfFoldPredictions
from results.ranking.boards import boards
from results.ranking.entries import Board
from results.ranking.references import run_names
from results.ranking.table import SYNTHETIC, fitting_columns
from results.reporting import facts
from results.reporting.answer import answer, other_notes
from results.reporting.confusion import confident_errors, confused_pairs, genre_rows
from results.reporting.figure import Figure
from results.reporting.importance import importance_figure, importances
from results.reporting.listening import AudioChoice, Listening
from results.reporting.parameters import ParameterFigures
from results.reporting.progress import best_so_far, learning_curves
from results.reporting.run_data import RunData
from search.storage.run_folder import RunFolder, last_words

_MAX_ERROR_CHARACTERS = 300
"""Maximum length of an error in the report."""
_ANY_WIDTH = 10_000
_EXTRA = ("family", "epochs", "parameters", "time", "status")
"""Columns of the leaderboard that a narrow screen leaves out."""


def report(runs: str, names: Sequence[str], *, audio: AudioChoice = "clips") -> str:
    """Create the report of runs.

    Parameters
    ----------
    runs : str
        Path or URI of the folder of runs.
    names : sequence of str
        Names of runs, or of searches over several families, in the order of the report.
    audio : str
        ``clips`` embeds short clips of the winner's mistakes, where the audio is known; ``none`` does not.

    Returns
    -------
    str
        The HTML page.

    Raises
    ------
    RunError
        If a run does not exist or has no scored trial.
    """
    expanded = run_names(names, runs)
    all_runs, unscored = _read_runs(runs, expanded)
    ranked, _ = boards(runs, names=expanded)
    winners = {board.entries[0].run for board in ranked}
    described = [facts.facts(run_data) for run_data in all_runs]
    shared = facts.shared(described)
    listening = Listening(audio)
    sections = [
        {
            **_section(run_data, f"run{number}", alone=len(all_runs) == 1),
            **_predictions(run_data, listening if run_data.run.name in winners else None),
            "winner": run_data.run.name in winners,
            "outcome": facts.outcome(run_data, corrected=len(all_runs) > 1),
            "facts": [fact for fact in own if fact not in shared],
        }
        for number, (run_data, own) in enumerate(zip(all_runs, described, strict=True))
    ]
    return _render(
        names=names,
        unscored=unscored,
        synthetic=SYNTHETIC if any(run_data.info.cache.synthetic for run_data in all_runs) else "",
        boards=[_board(board, all_runs) for board in ranked],
        sections=sections,
        shared=shared,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _read_runs(runs: str, names: Sequence[str]) -> tuple[list[RunData], list[str]]:
    """Read runs; those without a scored trial are only named, if another one has some."""
    all_runs, failures = [], {}
    for name in names:
        try:
            all_runs.append(RunData.read(RunFolder.at(runs, name)))
        except RunError as error:
            failures[name] = error
    if not all_runs:
        raise next(iter(failures.values()))
    return all_runs, [f"{name}: {error}" for name, error in failures.items()]


def write_report(runs: str, names: Sequence[str], out: str | Path, *, audio: AudioChoice = "clips") -> Path:
    """Write the report of runs to a file and return its path; see `report`.

    Raises
    ------
    RunError
        If a run does not exist or has no scored trial, or the file cannot be written.
    """
    target = Path(out).expanduser().absolute()
    if target.is_dir():
        raise RunError(
            f"--out {out}: this is a folder; name a file, such as {str(out).rstrip('/')}/report.html"
        )
    page = report(runs, names, audio=audio)
    try:
        Folder.at(target.parent).write(target.name, page.encode())
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written ({error})") from error
    return target


def _render(**content: Any) -> str:
    script = (files("results") / "assets" / "plotly-basic.min.js").read_text("utf-8")
    # Markup is safe: this text belongs to plotly.js, never to a run.
    return page_templates("results").get_template("report.html").render(plotly=Markup(script), **content)  # noqa: S704


def _with_id(figure: Figure, section: str) -> dict[str, Any]:
    return asdict(figure) | {"id": f"{section}-{figure.name}"}


def _board(board: Board, all_runs: Sequence[RunData]) -> dict[str, Any]:
    """Collect the answer of a leaderboard, its table, and the progress of its runs if there are several."""
    answered = answer(board)
    columns, constant = fitting_columns(board, _ANY_WIDTH)
    comparable_runs = [
        run_data
        for run_data in all_runs
        if run_data.info.cache.same_collection(board.info.cache) and run_data.run.name in board.runs
    ]
    info = board.info
    return {
        "id": f"board-{board.number}",
        "answer": answered,
        "title": f"Leaderboard {board.number}" if board.number > 1 or board.why else "Leaderboard",
        "tracks": "several splits with the same test set"
        if board.family_order
        else f"{split(info)}, {info.n_validated} tracks",
        "constant": [f"{heading}: {cell}" for heading, cell in constant.items()],
        "columns": [
            {"heading": column.heading, "left": column.left, "extra": column.name in _EXTRA}
            for column in columns
        ],
        "rows": [
            {
                "kind": "winner" if entry is board.entries[0] else "baseline" if entry.baseline else "",
                "cells": [_interval_apart(column.cell(entry)) for column in columns],
            }
            for entry in board.entries
        ],
        "notes": other_notes(board, answered),
        "progress": _with_id(best_so_far(comparable_runs), f"all-{board.number}")
        if len(comparable_runs) > 1
        else None,
    }


def _interval_apart(cell: str) -> tuple[str, str]:
    """Separate an interval in brackets, which a narrow screen shows on a line of its own."""
    value, bracket, interval = cell.partition(" [")
    return value, f"[{interval}" if bracket else ""


def _section(run_data: RunData, name: str, *, alone: bool) -> dict[str, Any]:
    """Collect the figures and tables of a run's section."""
    importance = importances(run_data)
    figures = [_with_id(figure, name) for figure in ParameterFigures(run_data, importance).figures()]
    by_kind = {
        kind: [figure for figure in figures if figure["name"].startswith(kind)]
        for kind in ("parallel", "slice", "pair")
    }
    progress = [best_so_far([run_data])] if alone else []
    return {
        "id": name,
        "name": run_data.run.name,
        "accuracy": 100 * run_data.best.val_accuracy,
        "config": [(key, _format_value(value)) for key, value in sorted(run_data.best.config.items())],
        "progress": [_with_id(figure, name) for figure in [*progress, learning_curves(run_data)]],
        "importance": _with_id(importance_figure(importance), name) if importance.shares else None,
        "no_importance": "" if importance.shares else importance.method,
        "parallel": by_kind["parallel"],
        "slices": by_kind["slice"],
        "parameter_pairs": by_kind["pair"],
        "failed": _failed(run_data),
    }


def _predictions(run_data: RunData, listening: Listening | None) -> dict[str, Any]:
    """Collect the predictions of a run's best trial, with clips if `listening`."""
    try:
        predictions = OutOfFoldPredictions.of(run_data.best)
    except RunError as error:
        return {"no_predictions": str(error)}
    classes = run_data.info.classes
    errors = confident_errors(predictions, classes)
    pairs = confused_pairs(predictions, classes, errors)
    examples = [mistake.track for pair in pairs for mistake in pair.examples]
    clips: dict[str, Clip] = {}
    note = ""
    if listening is not None and errors:
        clips, note = listening.clips(run_data.info, [*examples, *(mistake.track for mistake in errors)])
    return {
        "no_predictions": "",
        "classes": classes,
        "genres": genre_rows(predictions, classes),
        "pairs": pairs,
        "errors": errors,
        "clips": clips,
        "no_clips": note,
    }


def _failed(run_data: RunData) -> list[tuple[str, str, str]]:
    """List the trials with an error: name, state, and the message without its traceback."""
    failed = run_data.trials[run_data.trials["error"].notna()]
    rows = zip(failed.index, failed["status"], failed["error"], strict=True)
    return [
        (f"{run_data.run.name}:{number}", status, last_words(error)[:_MAX_ERROR_CHARACTERS])
        for number, status, error in rows
    ]


def _format_value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
