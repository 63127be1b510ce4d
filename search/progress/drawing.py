"""Draw the state of a search for a terminal of some size: more room shows more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.dataset.scores import METRIC_WORDS
from data.io.counts import counted
from data.io.sparkline import sparkline
from search.outcomes import RUNNING
from search.progress.state import FamilyProgress, TrialLine, clock

WIDE = 110
"""Width in characters from which counts by status and settings are shown."""
_GAP = 2
"""Characters between two columns."""
_MIN_CURVE = 10
_MAX_CURVE = 48
_BAR = 20
_N_BEST = 5
"""Number of ended trials that are shown, the best."""
_MAX_RUNNING = 8
_MAX_RUNNING_WIDE = 16
_MIN_HEIGHT = 12
"""Height in lines that is assumed at least."""


@dataclass(frozen=True)
class Frame:
    """What is drawn besides the families.

    Attributes
    ----------
    title : str
        Name of the search.
    passed : float
        Seconds of the search so far, in all sessions.
    left : float or None
        Seconds left; None if that is unknown.
    time_budget : float or None
        Seconds of the whole search; None for no limit.
    notes : tuple of str
        What workers are doing, or the present stage.
    """

    title: str
    passed: float
    left: float | None
    time_budget: float | None = None
    notes: tuple[str, ...] = ()


def draw(families: Sequence[FamilyProgress], frame: Frame, *, width: int, height: int) -> Group:
    """Return the drawing: a line about the whole search, a table of families, a table of trials.

    Parameters
    ----------
    families : sequence of FamilyProgress
        The families of the search.
    frame : Frame
        Everything else.
    width, height : int
        Size of the terminal in characters and lines.
    """
    parts: list[RenderableType] = [_head(families, frame, width), _family_table(families, width)]
    parts += [Text(note, no_wrap=True, overflow="ellipsis") for note in frame.notes]
    used = 4 + len(families) + len(frame.notes)
    rows = _rows(families, wide=width >= WIDE, lines=max(_MIN_HEIGHT, height) - used)
    if rows:
        parts.append(_trial_table(rows, width, title=frame.title))
    return Group(*parts)


def _head(families: Sequence[FamilyProgress], frame: Frame, width: int) -> RenderableType:
    """Draw the name of the search, its progress, and the time."""
    n_ended = sum(len(family.ended) for family in families)
    totals = [
        len(family.ended) + family.missing if family.missing is not None else None for family in families
    ]
    total = sum(number for number in totals if number is not None)
    is_limited = None not in totals and total > 0
    left = "" if frame.left is None else f", {clock(frame.left)} left"
    if frame.time_budget is not None:
        left = f" of {clock(frame.time_budget)}{left}"
    text = f"{n_ended}/{total} trials; " if is_limited else f"{counted(n_ended, 'trial')}; "
    text += f"{clock(frame.passed)} passed{left}"
    share = n_ended / total if is_limited else 0.0
    if frame.time_budget is not None:
        share = max(share, frame.passed / frame.time_budget)
    title = Text(frame.title, style="bold", no_wrap=True, overflow="ellipsis")
    bar = min(_BAR * (2 if width >= WIDE else 1), width - len(text) - len(frame.title) - 2 * _GAP)
    head = Table.grid(padding=(0, _GAP))
    cells: list[RenderableType] = [title]
    if bar >= _MIN_CURVE:
        cells.append(ProgressBar(total=1.0, completed=min(1.0, share), width=bar))
    head.add_row(*cells, Text(text, no_wrap=True))
    return head


def _family_table(families: Sequence[FamilyProgress], width: int) -> Table:
    """Draw one row per family: its best trial, and the best score over the trials."""
    wide = width >= WIDE
    rows = []
    for family in families:
        best = family.best
        trials = str(len(family.ended)) if family.total is None else f"{len(family.ended)}/{family.total}"
        if wide and family.ended:
            trials += f" ({family.counts()})"
        score = family.text(None if best is None else best.score)
        rows.append([family.family, trials, score, _name(family, best), family.state])
    metric = METRIC_WORDS[families[0].metric] if families else ""
    heads = ["family", "trials", f"best {metric}", "trial", "state"]
    if _needed(heads, rows) + _GAP + _MIN_CURVE > width:
        # The run of a family is the search and the family: its name can be left out.
        for row in rows:
            row[3] = row[3] and f":{row[3].rpartition(':')[2]}"
    room = min(_MAX_CURVE, width - _needed(heads, rows) - _GAP)
    table = _table([*heads, "best so far"] if room >= _MIN_CURVE else heads)
    for family, row in zip(families, rows, strict=True):
        table.add_row(*row, *([sparkline(family.curve, room)] if room >= _MIN_CURVE else []))
    return table


def _rows(
    families: Sequence[FamilyProgress], *, wide: bool, lines: int
) -> list[tuple[FamilyProgress, TrialLine]]:
    """Select the trials to show: the running ones, then the best of those that ended."""
    running = [(family, line) for family in families for line in family.running_lines()][
        : min(lines, _MAX_RUNNING_WIDE if wide else _MAX_RUNNING)
    ]
    ended = [(family, line) for family in families for line in family.ranked(family.ended)[:_N_BEST]]
    ended.sort(key=lambda pair: -pair[0].merit(pair[1].score or 0.0))
    return running + ended[: max(0, min(_N_BEST, lines - len(running)))]


def _trial_table(rows: Sequence[tuple[FamilyProgress, TrialLine]], width: int, *, title: str) -> Table:
    """Draw one row per trial: status, epoch, score, curve over epochs; with room, the settings too."""
    cells = []
    for family, line in rows:
        epoch = f"{line.epoch}/{line.epochs}" if line.epochs else str(line.epoch)
        cells.append([_name(family, line), line.status, epoch, family.text(line.score)])
    metric = METRIC_WORDS[rows[0][0].metric]
    heads = ["trial", "status", "epoch", metric]
    if _needed(heads, cells) + _GAP + _MIN_CURVE > width:
        for row in cells:
            row[0] = row[0].removeprefix(title).removeprefix("-")
    room = width - _needed(heads, cells) - _GAP
    wide = width >= WIDE
    curve = min(_MAX_CURVE // 2, room // 3) if wide else min(_MAX_CURVE, room)
    table = _table([*heads, *(["by epoch"] if curve >= _MIN_CURVE else []), *(["settings"] if wide else [])])
    for (family, line), row in zip(rows, cells, strict=True):
        if curve >= _MIN_CURVE:
            row.append(sparkline([family.merit(score) for score in line.curve], curve))
        if wide:
            row.append(settings_text(line))
        best = line is family.best
        style = "bold" if best else ("dim" if line.status != RUNNING else "")
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row), style=style)
    return table


def settings_text(line: TrialLine) -> str:
    """Return the settings of a trial, sorted by name."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in sorted(line.config.items())
        if name != "epochs"
    )


def _name(family: FamilyProgress, line: TrialLine | None) -> str:
    return "" if line is None else family.name(line)


def _needed(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the width of columns and the gaps between them."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return sum(widths) + _GAP * (len(widths) - 1)


def _table(heads: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    return table
