"""Chart of the best accuracy over time: median of the seeds, with a band from the worst to the best seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.marks import MARKS, at_times


def draw(runs: list[dict[str, Any]], path: Path, note: str, *, clock: str) -> None:
    """Draw all peers of `runs` in one panel."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    times = np.linspace(0, max(run["budget"] for run in runs), 600)
    for peer in dict.fromkeys(run["peer"] for run in runs):
        curves = np.array([at_times(run["curve"], times) for run in runs if run["peer"] == peer])
        # A run without a score ranks below all others.
        curves = np.where(np.isnan(curves), 0.0, curves)
        median_curve = np.median(curves, axis=0)
        (line,) = axes.plot(
            times,
            np.where(median_curve > 0, median_curve, math.nan),
            label=peer,
            lw=2.5 if peer.startswith("harness") else 1.5,
        )
        axes.fill_between(times, curves.min(axis=0), curves.max(axis=0), alpha=0.12, color=line.get_color())
    for mark in MARKS:
        axes.axhline(mark, color="0.6", lw=0.7, ls=":")
    axes.set_ylim(0.5, 0.84)
    axes.set_xlabel(f"seconds of {clock} time since the start, imports included")
    axes.set_ylabel("best validation accuracy so far (5 folds, by track)")
    axes.set_title(note, fontsize=9)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)
