"""The text of a leaderboard: columns and their cells, the title of a table and the notes below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from data.dataset.scores import METRIC_WORDS, Metric, score_text
from data.errors import SettingsError
from results.evaluation.descriptions import split
from results.evaluation.groups import INDEPENDENT
from results.evaluation.trials import nearest
from results.ranking.entries import Board, Entry
from results.ranking.selection import SelectedEnsemble

SYNTHETIC = "SYNTHETIC data: these numbers say nothing about real music."

TIED = "~"
"""Marks entries that do not differ significantly from the first."""

_BORDER = 3
"""Characters between two columns."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    name : str
        Name for ``--columns``.
    heading : str
        Heading in the table.
    cell : callable
        Formats the cell of an entry.
    left : bool
        Whether the cells are aligned to the left.
    """

    name: str
    heading: str
    cell: Callable[[Entry], str]
    left: bool = False


def _time(entry: Entry) -> str:
    minutes, seconds = divmod(round(entry.seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _lift(entry: Entry) -> str:
    if entry.baseline:
        return "BASELINE"
    return "" if entry.lift is None else f"{entry.lift:+.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


_COLUMNS = (
    Column("rank", "rank", lambda entry: f"{entry.rank} {TIED}" if entry.tied else str(entry.rank)),
    Column("trial", "trial", lambda entry: entry.name, left=True),
    Column("family", "family", lambda entry: entry.family, left=True),
    Column(
        "accuracy",
        "val accuracy [95 %]",
        lambda entry: f"{_percent(entry.val_accuracy)} [{100 * entry.low:.1f}, {100 * entry.high:.1f}]",
    ),
    Column("lift", "lift", _lift),
    Column("epochs", "epochs", lambda entry: str(entry.epochs)),
    Column("parameters", "parameters", lambda entry: f"{entry.params:,}"),
    Column("time", "time", _time),
    Column("status", "status", lambda entry: entry.status, left=True),
    Column("tracks", "tracks", lambda entry: str(entry.n)),
    Column("best_epoch", "best epoch", lambda entry: str(entry.best_epoch)),
    Column("balanced_accuracy", "balanced accuracy", lambda entry: _percent(entry.val_balanced_accuracy)),
    Column("macro_f1", "macro F1", lambda entry: _decimal(entry.val_macro_f1)),
    Column("log_loss", "log loss", lambda entry: _decimal(entry.val_loss)),
    Column("train_accuracy", "train accuracy", lambda entry: _percent(entry.train_accuracy)),
    Column("id", "id", lambda entry: entry.trial_id, left=True),
)
_DEFAULT = _COLUMNS[:9]
_DROPPED_FIRST = ("parameters", "time", "epochs", "status", "family", "lift")
"""Columns in the order in which they are left out of a narrow table; the others always stay."""


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def columns_named(names: Iterable[str]) -> list[Column]:
    """Return the columns with some names, after the rank and the trial.

    Raises
    ------
    SettingsError
        If no column has a name; the message lists the names.
    """
    by_name = {column.name: column for column in _COLUMNS}
    wanted = list(dict.fromkeys(["rank", "trial", *names]))
    for name in wanted:
        if name not in by_name:
            raise SettingsError(
                f"--columns: no column {name!r}; did you mean {nearest(name, list(by_name))}? The columns are"
                f" {', '.join(by_name)}"
            )
    return [by_name[name] for name in wanted]


def default_columns(metric: Metric = "accuracy") -> list[Column]:
    """Return the columns of a wide table, with the metric that ranks the trials."""
    if metric == "accuracy":
        return list(_DEFAULT)
    (ranked_by,) = (column for column in _COLUMNS if column.name == metric)
    return [*_DEFAULT[:2], ranked_by, *_DEFAULT[2:]]


def fitting_columns(board: Board, width: int) -> tuple[list[Column], dict[str, str]]:
    """Select the columns that fit a width and are not the same in all rows.

    Parameters
    ----------
    board : Board
        The board.
    width : int
        Width of the terminal in characters.

    Returns
    -------
    list of Column
        The columns. Rank, trial and accuracy stay even if they do not fit.
    dict of str to str
        Heading and cell of the columns that are the same in all rows, if they say something.
    """
    constant: dict[str, str] = {}
    columns = []
    for column in default_columns(board.metric):
        cells = {column.cell(entry) for entry in board.entries}
        if column.name in _DROPPED_FIRST and column.name != "lift" and len(cells) == 1:
            constant[column.heading] = cells.pop()
        else:
            columns.append(column)
    for name in _DROPPED_FIRST:
        rows = [[column.cell(entry) for column in columns] for entry in board.entries]
        if table_width(columns, rows) <= width:
            break
        columns = [column for column in columns if column.name != name]
    return columns, {heading: cell for heading, cell in constant.items() if cell}


def ensemble_cells(ensemble: SelectedEnsemble, columns: Sequence[Column]) -> list[str]:
    """Format the row of an ensemble; its accuracy is that of the cross-fitted vote."""
    cells = {
        "trial": f"ensemble of {len(ensemble.members)}",
        "accuracy": f"{_percent(ensemble.choice.scores.accuracy)} cross-fitted",
        "tracks": str(ensemble.n_tracks),
    }
    return [cells.get(column.name, "") for column in columns]


def table_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """Compute the width of a table in terminal cells, of which some characters take two, with its borders."""
    widths = [
        max(cell_len(column.heading), *(cell_len(cells[number]) for cells in rows))
        for number, column in enumerate(columns)
    ]
    return sum(widths) + _BORDER * len(columns) + 1


def title(board: Board, constant: dict[str, str] | None = None) -> str:
    """Format the title of a table: its data and split, and what is the same for all entries."""
    info = board.info
    synthetic = "SYNTHETIC " if info.cache.synthetic else ""
    order = board.family_order
    if order is None:
        tracks = f"{split(info)} ({info.split_fingerprint[:8]}), {info.n_validated} tracks validated"
    else:
        tracks = "several splits with the same test set"
    same = "".join(f", {heading} {cell}" for heading, cell in (constant or {}).items())
    return f"Table {board.number}: {synthetic}data {info.cache.uri} ({info.cache.data[:8]}), {tracks}{same}"


def _test(board: Board) -> str:
    """Name the paired test that the table uses."""
    return "exact McNemar test" if board.n_groups is None else f"sign-flip test over {board.n_groups} groups"


def notes(board: Board, ensemble: str = "", *, in_report: bool = False) -> list[str]:
    """Write the notes that readers need to interpret the numbers.

    Parameters
    ----------
    board : Board
        The board.
    ensemble : str
        The sentence about the best ensemble; empty if there is none.
    in_report : bool
        Whether the reader has the report, which lists the trials that failed.
    """
    lines = []
    if board.info.cache.synthetic:
        lines.append(SYNTHETIC)
    if board.why:
        lines.append(f"Separate table: {board.why}.")
    if board.family_order is not None:
        lines.append(_order_note(board))
    if board.metric != "accuracy":
        lines.append(f"Trials rank by {METRIC_WORDS[board.metric]}; the tests below are of accuracy.")
    if any(entry.tied for entry in board.entries):
        tracks = f"on the same {board.info.n_validated} tracks"
        if board.family_order is not None:
            tracks = "on the tracks that both validated"
        lines.append(
            f"{TIED} does not differ significantly from rank 1: {tracks},"
            f" the {_test(board)} finds p >= 0.05 (not corrected for multiple comparisons)."
        )
    if board.correction is not None:
        lines.append(board.correction.sentence())
    elif board.ranked > 1:
        lines.append(
            f"Rank 1 was selected from {board.ranked} trials on these tracks; its accuracy is optimistic."
        )
    if ensemble:
        lines.append(ensemble)
    lines.append(
        INDEPENDENT
        if board.n_groups is None
        else f"Intervals and tests account for the {board.n_groups} groups of related tracks."
    )
    if any(entry.tied is None for entry in board.entries[1:]):
        lines.append("Some trials could not be tested against rank 1: their predictions are missing.")
    if board.single_epoch_runs:
        lines.append(
            "Scores of single epochs, as in versions before run format 3, are slightly optimistic compared"
            f" with those of several epochs: {', '.join(board.single_epoch_runs)}."
        )
    if any(entry.status == "PRUNED" for entry in board.entries):
        lines.append(
            "PRUNED trials were stopped early; their score is that of their best epoch before the stop."
        )
    shown = f"{len(board.entries)} of {board.ranked} scored trials are shown"
    if board.unranked:
        reasons = "" if in_report else " (results.report gives the reasons)"
        shown += f"; without a score: {board.unranked}{reasons}"
    lines.append(f"{shown}.")
    return lines


def _order_note(board: Board) -> str:
    """Say which tracks decided the order of the families, and that of the trials in a family."""
    order = board.family_order
    if order is None:
        return ""

    winners = ", ".join(
        f"{family} {score_text(score, order.metric)}" for family, score in order.scores.items()
    )
    within = ", ".join(f"{family} on {n}" for family, n in order.n_validated.items())
    note = (
        f"Families are ordered by their best trials on the {order.n_common} tracks that all of them"
        f" validated: {winners}. Within a family, trials rank on all of its validated tracks: {within}."
    )
    if order.of_all_folds:
        trained = ", ".join(
            f"{family} {score_text(score, order.metric)} of {n}"
            for family, (score, n) in order.of_all_folds.items()
        )
        note += f" After their choice, these winners were trained on all folds: {trained}."
    return note
