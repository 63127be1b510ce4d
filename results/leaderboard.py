"""Rank the trials of all runs, or compare two: ``python -m results.leaderboard``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import click

import spaces
from data.console import Command

if TYPE_CHECKING:
    from results.ranking.boards import Board
    from results.ranking.comparison import Comparison

_WIDTH = 160
"""Width in characters of a table that is written to a file or a pipe."""


@click.command(cls=Command)
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
    help="Compare two trials with a paired test; each is RUN (its best trial), RUN:TRIAL or RUN:BASELINE.",
)
def main(runs: str, family: str | None, top: int, form: str, compare: tuple[str, str] | None) -> None:
    """Rank the trials of all runs by validation accuracy.

    Trials on different data or splits are listed in separate tables. The BASELINE of each run and the best of
    each family are always shown. A mark shows which entries do not differ significantly from rank 1.
    """
    if family is not None:
        spaces.get(family)
    if compare is not None:
        from results.evaluation.trials import named_trial
        from results.ranking.comparison import compare as compare_trials

        first, second = (named_trial(reference, runs) for reference in compare)
        _print_comparison(compare_trials(first, second), form)
        return
    from results.ranking.boards import boards

    ranked, unscored_runs = boards(runs, family=family, top=top)
    match form:
        case "json":
            click.echo(json.dumps([_board_record(board) for board in ranked], indent=2, ensure_ascii=False))
        case "csv":
            click.echo(_csv(ranked), nl=False)
        case "md":
            click.echo("\n\n".join(_markdown(board) for board in ranked))
        case _:
            _print_tables(ranked)
    if unscored_runs:
        click.echo(f"Runs without a scored trial: {', '.join(unscored_runs)}.", err=True)


def _print_tables(ranked: Sequence[Board]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from data.console import out
    from results.ranking.table import HEADINGS, LEFT, cells, notes, title

    console = out() if out().is_terminal else Console(width=_WIDTH)
    for board in ranked:
        # Text, because a run's name or an address may contain brackets, which rich treats as markup.
        table = Table(title=Text(title(board)), title_justify="left", title_style="bold")
        for heading in HEADINGS:
            is_text = heading in LEFT
            table.add_column(
                heading, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold"
            )
        for entry in board.entries:
            table.add_row(*map(Text, cells(entry)), style="bold cyan" if entry.baseline else None)
        console.print(table)
        for note in notes(board):
            console.print(note, highlight=False, markup=False)
        console.print()


def _markdown(board: Board) -> str:
    from results.ranking.table import HEADINGS, LEFT, cells, notes, title

    lines = [f"**{title(board)}**", "", f"| {' | '.join(HEADINGS)} |"]
    lines.append("|" + "|".join(" --- " if heading in LEFT else " ---: " for heading in HEADINGS) + "|")
    lines += [f"| {' | '.join(cells(entry))} |" for entry in board.entries]
    return "\n".join([*lines, "", *(f"{note}  " for note in notes(board))])


def _board_record(board: Board) -> dict[str, Any]:
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
        "correction": None if board.correction is None else board.correction.record(),
        "entries": [asdict(entry) for entry in board.entries],
    }


def _csv(ranked: Sequence[Board]) -> str:
    from results.ranking.boards import Entry

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
        f"{side.upper()}: {trial['run']}:{'BASELINE' if trial['baseline'] else trial['trial_id']}"
        f" ({trial['family']}): {100 * trial['accuracy']:.1f} %"
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


if __name__ == "__main__":
    main()
