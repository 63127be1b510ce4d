"""Rank the trials of all runs, or compare two: ``python -m results.leaderboard``."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

import spaces
from data.console import Command, out

if TYPE_CHECKING:
    import pandas as pd

    from results.ranking.comparison import Comparison
    from results.ranking.entries import Board
    from results.ranking.selection import SelectedEnsemble
    from results.ranking.table import Column


@click.command(cls=Command, extra="search")
@click.argument("names", metavar="[RUN...]", nargs=-1)
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--family", metavar="NAME", help="Show only the runs of one model family.")
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    help="Number of best trials to show per table.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "md"]),
    default="table",
    help="Output format.",
)
@click.option(
    "--compare",
    metavar="A B",
    nargs=2,
    help="Compare two trials with a paired test; each is RUN (its best), RUN:4 or RUN:baseline.",
)
@click.option("--wide", is_flag=True, help="Show all columns, even if they do not fit the terminal.")
@click.option("--columns", metavar="A,B", help="Show these columns; a wrong name lists all.")
def main(
    names: tuple[str, ...],
    runs: str,
    family: str | None,
    top: int,
    form: str,
    compare: tuple[str, str] | None,
    wide: bool,
    columns: str | None,
) -> None:
    """Rank the trials of all runs, or of the named RUNs, by validation accuracy.

    Trials on different data or splits are listed in separate tables. The BASELINE of each run and the best of
    each family are always shown. A mark shows which entries do not differ significantly from rank 1. In a
    terminal, columns that do not fit, or are the same in all rows, are left out.
    """
    if family is not None:
        spaces.get(family)
    if compare is not None:
        from results.ranking.comparison import compare as compare_trials
        from results.ranking.references import trial_at

        first, second = (trial_at(reference, runs) for reference in compare)
        _print_comparison(compare_trials(first, second), form)
        return
    from results.ranking.boards import boards
    from results.ranking.references import run_names
    from results.ranking.selection import best_ensemble
    from results.ranking.table import columns_named

    chosen = None if columns is None else columns_named(columns.replace(" ", "").split(","))
    ranked, unscored_runs = boards(runs, family=family, top=top, names=run_names(names, runs) or None)
    ensembles = [best_ensemble(board.candidates) for board in ranked]
    match form:
        case "json":
            records = [_board_record(*pair) for pair in zip(ranked, ensembles, strict=True)]
            click.echo(json.dumps(records, indent=2, ensure_ascii=False))
        case "csv":
            click.echo(_csv(ranked), nl=False)
        case "md":
            texts = [_markdown(*pair, chosen) for pair in zip(ranked, ensembles, strict=True)]
            click.echo("\n\n".join(texts))
        case _:
            _print_tables(ranked, ensembles, chosen, wide=wide)
    if unscored_runs:
        click.echo(f"Runs without a scored trial: {', '.join(unscored_runs)}.", err=True)


def _print_tables(
    ranked: Sequence[Board],
    ensembles: Sequence[SelectedEnsemble | None],
    chosen: Sequence[Column] | None,
    *,
    wide: bool,
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from results.ranking.table import (
        default_columns,
        ensemble_cells,
        fitting_columns,
        notes,
        table_width,
        title,
    )

    written: set[str] = set()
    for board, ensemble in zip(ranked, ensembles, strict=True):
        constant: dict[str, str] = {}
        if chosen is not None:
            columns = list(chosen)
        elif wide or not out().is_terminal:
            columns = default_columns(board.metric)
        else:
            columns, constant = fitting_columns(board, out().width)
        # Text, because a run's name or an address may contain brackets, which rich treats as markup.
        heading = Text(title(board, constant))
        rows = [[column.cell(entry) for column in columns] for entry in board.entries]
        ensemble_rows = [] if ensemble is None else [ensemble_cells(ensemble, columns)]
        width = max(out().width, table_width(columns, [*rows, *ensemble_rows]))
        # A name that rich breaks cannot be copied, so the table may be wider than the terminal.
        console = Console(width=width, markup=False, emoji=False)
        table = Table(title=heading, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column.heading, justify="left" if column.left else "right", no_wrap=True)
        for entry, cells in zip(board.entries, rows, strict=True):
            table.add_row(*map(Text, cells), style="bold cyan" if entry.baseline else None)
        for cells in ensemble_rows:
            table.add_row(*map(Text, cells), style="italic")
        console.print(table)
        for note in notes(board, "" if ensemble is None else ensemble.sentence()):
            if note not in written:
                console.print(Text(note), soft_wrap=not out().is_terminal)
        written.update(notes(board))
        console.print()


def _markdown(board: Board, ensemble: SelectedEnsemble | None, chosen: Sequence[Column] | None) -> str:
    from results.ranking.table import default_columns, ensemble_cells, notes, title

    columns = default_columns(board.metric) if chosen is None else list(chosen)
    lines = [f"**{title(board)}**", "", f"| {' | '.join(column.heading for column in columns)} |"]
    lines.append("|" + "|".join(" --- " if column.left else " ---: " for column in columns) + "|")
    lines += [f"| {' | '.join(column.cell(entry) for column in columns)} |" for entry in board.entries]
    if ensemble is not None:
        lines.append(f"| {' | '.join(ensemble_cells(ensemble, columns))} |")
    sentence = "" if ensemble is None else ensemble.sentence()
    return "\n".join([*lines, "", *(f"{note}  " for note in notes(board, sentence))])


def _board_record(board: Board, ensemble: SelectedEnsemble | None) -> dict[str, Any]:
    info = board.info
    return {
        "table": board.number,
        "why": board.why,
        "data": info.cache.uri,
        "cache_fingerprint": info.cache.data,
        "split_fingerprint": info.split_fingerprint,
        "synthetic": info.cache.synthetic,
        "folds": info.folds,
        "n_validated": info.n_validated,
        "ranked": board.ranked,
        "unranked": board.unranked,
        "n_groups": board.n_groups,
        "ensemble": None if ensemble is None else ensemble.record(),
        "family_order": None if board.family_order is None else asdict(board.family_order),
        "correction": None if board.correction is None else board.correction.record(),
        "entries": [asdict(entry) for entry in board.entries],
    }


def _csv(ranked: Sequence[Board]) -> str:
    from results.ranking.entries import Entry

    text = io.StringIO()
    columns = ["table", "cache_fingerprint", "split_fingerprint", *(field.name for field in fields(Entry))]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for board in ranked:
        identity = {
            "table": board.number,
            "cache_fingerprint": board.info.cache.data,
            "split_fingerprint": board.info.split_fingerprint,
        }
        writer.writerows(identity | asdict(entry) for entry in board.entries)
    return text.getvalue()


def _print_comparison(comparison: Comparison, form: str) -> None:
    record = comparison.record()
    match form:
        case "json":
            click.echo(json.dumps(record, indent=2, ensure_ascii=False))
        case "csv":
            flat = {key: value for key, value in record.items() if not isinstance(value, dict)}
            for side in ("a", "b"):
                flat = {f"{side}_{key}": value for key, value in record[side].items()} | flat
            text = io.StringIO()
            writer = csv.DictWriter(text, list(flat), lineterminator="\n")
            writer.writeheader()
            writer.writerow(flat)
            click.echo(text.getvalue(), nl=False)
        case _:
            bullet = "- " if form == "md" else ""
            click.echo("\n".join(bullet + line for line in _sentences(record)))


def _sentences(record: dict[str, Any]) -> list[str]:
    from results.evaluation.groups import INDEPENDENT
    from results.ranking.table import SYNTHETIC

    lines = [
        f"{side.upper()}: {trial['name']} ({trial['family']}{', BASELINE' if trial['baseline'] else ''}):"
        f" {100 * trial['accuracy']:.1f} %"
        f" [{100 * trial['low']:.1f}, {100 * trial['high']:.1f}]"
        for side, trial in ((side, record[side]) for side in ("a", "b"))
    ]
    lines += [
        f"{record['n']} tracks: only A right on {record['only_a_right']}, only B on"
        f" {record['only_b_right']}; {record['test']}, p = {record['p_value']:.3g}",
        f"A - B: {record['difference']:+.1f} points [{record['difference_low']:+.1f},"
        f" {record['difference_high']:+.1f}] (paired bootstrap, 95 %)",
        "The difference is significant."
        if record["distinct"]
        else "The difference is not significant on these tracks.",
    ]
    selections = [
        f"{side.upper()} is the best of {record[side]['best_of']} trials of its run"
        for side in ("a", "b")
        if record[side]["best_of"] > 1
    ]
    if selections:
        lines.append(
            f"{' and '.join(selections)} on these tracks; the test does not account for this selection."
        )
    if record["n_groups"] is None:
        lines.append(INDEPENDENT)
    if not record["same_split"]:
        lines.append(
            "The two use different splits, so their models were trained on different tracks;"
            f" {record['left_out']} tracks that only one of them validated are ignored."
        )
    if record["synthetic"]:
        lines.append(SYNTHETIC)
    return lines


class _CallableModule(ModuleType):
    """Module that can be called: ``results.leaderboard("runs")`` returns the table as a DataFrame."""

    def __call__(self, runs: str | Path = "runs", **options: Any) -> pd.DataFrame:
        """Rank trials; see `results.opened_run.leaderboard_table`."""
        from results.opened_run import leaderboard_table

        return leaderboard_table(runs, **options)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    main()
