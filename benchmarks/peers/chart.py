"""Charts of the peers: the best accuracy over time, and the times to the marks from the table of medians."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.marks import MARKS, at_times
from benchmarks.peers.names import MARK_MEANINGS, PEERS

_OURS, _OTHERS = "#1f5fc8", "#5c6b7a"
_DPI = 120
_COLOURS = ("#1f5fc8", "#4f83d9", "#15795a", "#b3541e", "#8a3fb0", "#b02a62", "#8a6d00")
_GAP = 0.9
"""Smallest distance between two labels of the chart in percent."""
_LABEL_GAP, _BEST_AT = 2.5, 166.0
"""Distance between a mark and its label, and right end of the best scores, in seconds of the axis."""


def draw(runs: list[dict[str, Any]], path: Path, note: str, *, clock: str) -> None:
    """Draw the best accuracy of all peers over time: medians of the seeds, and bands from worst to best."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9.5, 5.2), layout="constrained")
    budget = max(run["budget"] for run in runs)
    times = np.linspace(0, budget, 600)
    ends: list[tuple[float, str, str]] = []
    for peer, colour in zip(dict.fromkeys(run["peer"] for run in runs), _COLOURS, strict=False):
        curves = 100 * np.array([at_times(run["curve"], times) for run in runs if run["peer"] == peer])
        # A run without a score ranks below all others.
        curves = np.where(np.isnan(curves), 0.0, curves)
        median_curve = np.median(curves, axis=0)
        width = 2.8 if peer.startswith("harness") else 1.6
        axes.plot(times, np.where(median_curve > 0, median_curve, math.nan), lw=width, color=colour)
        axes.fill_between(times, curves.min(axis=0), curves.max(axis=0), alpha=0.1, color=colour)
        ends.append((float(median_curve[-1]), PEERS.get(peer, peer), colour))
    for height, (end, name, colour) in zip(spread([end for end, _, _ in ends], _GAP), ends, strict=True):
        axes.text(1.015 * budget, height, f"{name}, {end:.1f} %", color=colour, va="center", fontsize=9)
    for mark in MARKS:
        axes.axhline(100 * mark, color="0.55", lw=0.8, ls=":")
        axes.text(budget, 100 * mark + 0.1, MARK_MEANINGS[mark], color="0.35", fontsize=8, ha="right")
    axes.set_xlim(0, budget)
    axes.set_ylim(60, 82)
    axes.set_yticks(range(60, 82, 5), [f"{percent} %" for percent in range(60, 82, 5)])
    axes.set_xlabel(f"seconds of {clock} time since the start, imports included")
    axes.set_ylabel("best validation accuracy so far (5 folds, by track)")
    axes.set_title(note, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart until neighbours differ by at least `gap`, keeping their order and their mean."""
    order = np.argsort(heights)
    placed = np.array(heights, dtype=float)[order]
    for _ in range(len(placed) * 100):
        too_close = np.flatnonzero(np.diff(placed) < gap - 1e-9)
        if not len(too_close):
            break
        for lower in too_close:
            shift = (gap - (placed[lower + 1] - placed[lower])) / 2
            placed[lower] -= shift
            placed[lower + 1] += shift
    result = np.empty(len(placed))
    result[order] = placed
    return result.tolist()


def draw_times(table: Path, path: Path, *, budget: float) -> None:
    """Draw the seconds to 73 and 76 % per peer, from a table of medians.

    Parameters
    ----------
    table : Path
        CSV file with the columns ``peer``, ``best`` in percent, and ``to_73``, ``to_76`` in seconds, empty
        where the median run did not reach the mark.
    path : Path
        The PNG file to write.
    budget : float
        Seconds that each run had.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["peer"]]
    rows.sort(key=lambda row: (float(row["to_76"] or "inf"), -float(row["best"])), reverse=True)
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for height, row in enumerate(rows):
        colour = _OURS if row["peer"].startswith("harness") else _OTHERS
        first, second = (float(row[name]) if row[name] else None for name in ("to_73", "to_76"))
        if first is not None and second is not None:
            axes.plot([first, second], [height, height], color=colour, lw=2, alpha=0.5, zorder=1)
        if first is not None:
            axes.scatter([first], [height], s=55, facecolor="white", edgecolor=colour, lw=2, zorder=2)
        if second is None:
            missed = "73 % not reached" if first is None else "76 % not reached"
            axes.text((first or 0.0) + _LABEL_GAP, height, missed, color=colour, va="center")
        else:
            axes.scatter([second], [height], s=60, color=colour, zorder=2)
            axes.text(
                second + _LABEL_GAP, height, f"{second:.0f} s", color=colour, va="center", weight="bold"
            )
        axes.text(_BEST_AT, height, f"{float(row['best']):.1f} %", color=colour, va="center", ha="right")
    axes.text(_BEST_AT, len(rows) - 0.35, f"best after {budget:.0f} s", color="0.3", ha="right", fontsize=9)
    axes.set_yticks(range(len(rows)), [PEERS[row["peer"]] for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(_OURS if row["peer"].startswith("harness") else "black")
    axes.set_xlim(0, 170)
    axes.set_ylim(-0.6, len(rows) + 0.1)
    axes.set_xlabel("seconds from the start, imports included")
    axes.set_title(
        "Time to a validation accuracy on GTZAN's published table: medians of 3 seeds, 2 cores\n"
        "○ 73 %, the study's own result   ● 76 %, reached by searching",
        loc="left",
        fontsize=10.5,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    FigureCanvasAgg(figure).print_figure(path, dpi=_DPI)
