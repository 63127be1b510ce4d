"""The page: sections of runs, put into one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from data.errors import RunError
from results.evaluation.correction import correct_run
from results.evaluation.descriptions import source, split
from results.evaluation.predictions import OutOfFoldPredictions
from results.ranking.boards import Board, boards
from results.ranking.table import HEADINGS, LEFT, SYNTHETIC, cells, notes, title
from results.reporting.confusion import confusion, genres, surely_wrong
from results.reporting.figure import Figure
from results.reporting.importance import importance_figure, importances
from results.reporting.parameters import Searched
from results.reporting.progress import best_so_far, learning_curves
from results.reporting.run_data import Material
from search.storage.run_folder import RunFolder, last_words

_ERROR = 300
"""Characters of an error that are shown."""


def report(runs: str, names: Sequence[str]) -> str:
    """Make the page of some runs.

    Parameters
    ----------
    runs : str
        Path or URI of the runs' folder.
    names : sequence of str
        Runs to tell of, in this order.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    RunError
        If a run is not there, or no trial of it has a score.
    """
    materials = [Material.read(RunFolder.at(runs, name)) for name in names]
    ranked, _ = boards(runs, names=names)
    together: list[dict[str, Any]] = []
    if len(materials) > 1:
        for board in ranked:
            same = [
                one
                for one in materials
                if one.info.cache.same_collection(board.info.cache)
                and one.info.split_fingerprint == board.info.split_fingerprint
            ]
            together.append(_shown(best_so_far(same), f"all-{board.number}"))
    return _render(
        title=f"Search report: {', '.join(names)}",
        synthetic=SYNTHETIC if any(one.info.cache.synthetic for one in materials) else "",
        boards=[_board(board) for board in ranked],
        together=together,
        sections=[_section(one, f"run{number}") for number, one in enumerate(materials)],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _render(**content: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("results", "templates"), autoescape=True, undefined=StrictUndefined
    )
    own = files("results") / "templates"
    # These three are this program's and plotly's own text, never a run's.
    scripts = {
        "plotly": Markup((files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")),  # noqa: S704
        "script": Markup((own / "report.js").read_text("utf-8")),  # noqa: S704
        "style": Markup((own / "report.css").read_text("utf-8")),  # noqa: S704
    }
    return environment.get_template("report.html").render(**scripts, **content)


def _shown(figure: Figure, section: str) -> dict[str, Any]:
    return asdict(figure) | {"id": f"{section}-{figure.name}"}


def _board(board: Board) -> dict[str, Any]:
    return {
        "title": title(board),
        "headings": [(heading, heading in LEFT) for heading in HEADINGS],
        "rows": [
            (
                entry.baseline,
                [(cell, heading in LEFT) for cell, heading in zip(cells(entry), HEADINGS, strict=True)],
            )
            for entry in board.entries
        ],
        "notes": notes(board),
    }


def _section(one: Material, name: str) -> dict[str, Any]:
    """All that the page tells of one run."""
    found = importances(one)
    searched = Searched(one, found).figures()
    section: dict[str, Any] = {
        "name": one.run.name,
        "facts": _facts(one),
        "config": [(key, _told(value)) for key, value in sorted(one.best.config.items())],
        "progress": [_shown(best_so_far([one]), name), _shown(learning_curves(one), name)],
        "importance": _shown(importance_figure(found), name) if found.shares else None,
        "no_importance": "" if found.shares else found.method,
        "parallel": [_shown(each, name) for each in searched if each.name == "parallel"],
        "slices": [_shown(each, name) for each in searched if each.name.startswith("slice")],
        "contours": [_shown(each, name) for each in searched if each.name.startswith("contour")],
        "failed": _failed(one),
        "judged": [],
        "wrong": [],
        "no_judgement": "",
    }
    try:
        judgement = OutOfFoldPredictions.of(one.best)
    except RunError as error:
        section["no_judgement"] = str(error)
        return section
    section["judged"] = [
        _shown(confusion(judgement, one.info.classes), name),
        _shown(genres(judgement), name),
    ]
    section["wrong"] = surely_wrong(judgement, one.info.classes)
    return section


def _failed(one: Material) -> list[tuple[str, str, str]]:
    """Trials that ended with an error: name, state, and what the error says, without its traceback."""
    failed = one.trials[one.trials["error"].notna()]
    rows = zip(failed["trial_id"], failed["status"], failed["error"], strict=True)
    return [(name, status, last_words(error)[:_ERROR]) for name, status, error in rows]


def _told(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(one: Material) -> list[tuple[str, str]]:
    """Say what was searched, and on what."""
    info, status = one.info, one.trials["status"].value_counts()
    counts = ", ".join(f"{count} {name}" for name, count in status.items())
    synthetic = " SYNTHETIC." if info.cache.synthetic else ""
    options = " ".join(
        f"{key} {info.settings[key]}" for key in ("searcher", "scheduler") if key in info.settings
    )
    spent = f"{info.seconds / 60:.1f} minutes; " if info.seconds else ""  # told when a sitting ends
    base = one.trials["val_accuracy"].iloc[0]
    lift = "" if base != base else f", {100 * (one.best.val_accuracy - base):+.1f} points over the BASELINE"
    correction = correct_run(one.best)
    corrected = [] if correction is None else [("correction", correction.sentence())]
    return [
        ("family", info.family),
        ("best", f"{one.best.trial_id}: {100 * one.best.val_accuracy:.1f} %{lift}"),
        *corrected,
        ("trials", f"{len(one.trials)} of {info.trials} ({counts}), at most {info.max_epochs} epochs"),
        ("search", f"{options}; seed {info.seed}; {spent}{info.status}"),
        (
            "data",
            f"{source(info)}; {len(info.classes)} genres"
            f" ({', '.join(info.classes)}); {info.cache.uri}, fingerprint"
            f" {info.cache.data[:16]}.{synthetic}",
        ),
        (
            "split",
            f"{split(info)}, {info.n_validated} tracks validated, {info.n_test} locked away for the test and"
            f" not looked at here; fingerprint {info.split_fingerprint[:8]}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())),
    ]
