"""The page of the report: one HTML file with a section per run that works offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from data.errors import RunError
from data.io.folder import Folder
from results.evaluation.correction import correct_run
from results.evaluation.descriptions import source, split
from results.evaluation.predictions import OutOfFoldPredictions
from results.ranking.boards import boards
from results.ranking.entries import Board
from results.ranking.references import run_names
from results.ranking.table import SYNTHETIC, default_columns, notes, title
from results.reporting.confusion import confident_errors, confusion, genres
from results.reporting.figure import Figure
from results.reporting.importance import importance_figure, importances
from results.reporting.parameters import ParameterFigures
from results.reporting.progress import best_so_far, learning_curves
from results.reporting.run_data import RunData
from search.storage.run_folder import RunFolder, last_words

_MAX_ERROR_CHARACTERS = 300
"""Maximum length of an error in the report."""


def report(runs: str, names: Sequence[str]) -> str:
    """Create the report of runs.

    Parameters
    ----------
    runs : str
        Path or URI of the folder of runs.
    names : sequence of str
        Names of the runs, in the order of the report.

    Returns
    -------
    str
        The HTML page.

    Raises
    ------
    RunError
        If a run does not exist or has no scored trial.
    """
    names = run_names(names, runs)
    all_runs = [RunData.read(RunFolder.at(runs, name)) for name in names]
    ranked, _ = boards(runs, names=names)
    joint_figures: list[dict[str, Any]] = []
    if len(all_runs) > 1:
        for board in ranked:
            comparable_runs = [
                run_data
                for run_data in all_runs
                if run_data.info.cache.same_collection(board.info.cache) and run_data.run.name in board.runs
            ]
            joint_figures.append(_with_id(best_so_far(comparable_runs), f"all-{board.number}"))
    return _render(
        title=f"Search report: {', '.join(names)}",
        synthetic=SYNTHETIC if any(run_data.info.cache.synthetic for run_data in all_runs) else "",
        boards=[_board(board) for board in ranked],
        joint_figures=joint_figures,
        sections=[_section(run_data, f"run{number}") for number, run_data in enumerate(all_runs)],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def write_report(runs: str, names: Sequence[str], out: str | Path) -> Path:
    """Write the report of runs to a file and return its path.

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
    page = report(runs, names)
    try:
        Folder.at(target.parent).write(target.name, page.encode())
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written ({error})") from error
    return target


def _render(**content: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("results", "templates"), autoescape=True, undefined=StrictUndefined
    )
    templates = files("results") / "templates"
    # Markup is safe: these texts belong to this program and to plotly, never to a run.
    scripts = {
        "plotly": Markup((files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")),  # noqa: S704
        "script": Markup((templates / "report.js").read_text("utf-8")),  # noqa: S704
        "style": Markup((templates / "report.css").read_text("utf-8")),  # noqa: S704
    }
    return environment.get_template("report.html").render(**scripts, **content)


def _with_id(figure: Figure, section: str) -> dict[str, Any]:
    return asdict(figure) | {"id": f"{section}-{figure.name}"}


def _board(board: Board) -> dict[str, Any]:
    columns = default_columns()
    return {
        "title": title(board),
        "headings": [(column.heading, column.left) for column in columns],
        "rows": [
            (entry.baseline, [(column.cell(entry), column.left) for column in columns])
            for entry in board.entries
        ],
        "notes": notes(board),
    }


def _section(run_data: RunData, name: str) -> dict[str, Any]:
    """Collect the content of a run's section."""
    importance = importances(run_data)
    parameter_figures = ParameterFigures(run_data, importance).figures()
    section: dict[str, Any] = {
        "name": run_data.run.name,
        "facts": _facts(run_data),
        "config": [(key, _format_value(value)) for key, value in sorted(run_data.best.config.items())],
        "progress": [_with_id(best_so_far([run_data]), name), _with_id(learning_curves(run_data), name)],
        "importance": _with_id(importance_figure(importance), name) if importance.shares else None,
        "no_importance": "" if importance.shares else importance.method,
        "parallel": [_with_id(figure, name) for figure in parameter_figures if figure.name == "parallel"],
        "slices": [_with_id(figure, name) for figure in parameter_figures if figure.name.startswith("slice")],
        "contours": [
            _with_id(figure, name) for figure in parameter_figures if figure.name.startswith("contour")
        ],
        "failed": _failed(run_data),
        "predictions": [],
        "errors": [],
        "no_predictions": "",
    }
    try:
        predictions = OutOfFoldPredictions.of(run_data.best)
    except RunError as error:
        section["no_predictions"] = str(error)
        return section
    section["predictions"] = [
        _with_id(confusion(predictions, run_data.info.classes), name),
        _with_id(genres(predictions), name),
    ]
    section["errors"] = confident_errors(predictions, run_data.info.classes)
    return section


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


def _facts(run_data: RunData) -> list[tuple[str, str]]:
    """Describe the search, its data and its split."""
    info, status = run_data.info, run_data.trials["status"].value_counts()
    counts = ", ".join(f"{count} {name}" for name, count in status.items())
    synthetic = " SYNTHETIC." if info.cache.synthetic else ""
    options = " ".join(
        f"{key} {info.settings[key]}" for key in ("searcher", "scheduler") if key in info.settings
    )
    # The duration is recorded when the search stops.
    duration = f"{info.seconds / 60:.1f} minutes; " if info.seconds else ""
    best, baseline = run_data.best, run_data.trials["val_accuracy"].iloc[0]
    has_baseline = baseline == baseline
    lift = f", {100 * (best.val_accuracy - baseline):+.1f} points over the BASELINE" if has_baseline else ""
    correction = correct_run(best)
    corrected = [] if correction is None else [("correction", correction.sentence())]
    return [
        ("family", info.family),
        ("best", f"{best.name}: {100 * best.val_accuracy:.1f} %{lift}"),
        *corrected,
        ("trials", f"{len(run_data.trials)} of {info.trials} ({counts}), at most {info.max_epochs} epochs"),
        ("search", f"{options}; seed {info.seed}; {duration}{info.status}"),
        (
            "data",
            f"{source(info)}; {len(info.classes)} genres"
            f" ({', '.join(info.classes)}); {info.cache.uri}, fingerprint"
            f" {info.cache.data[:16]}.{synthetic}",
        ),
        (
            "split",
            f"{split(info)}, {info.n_validated} tracks validated, {info.n_test} held out for the test and"
            f" not used here; fingerprint {info.split_fingerprint[:8]}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())),
    ]
