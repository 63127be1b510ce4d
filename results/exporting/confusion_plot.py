"""Plot a confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from results.exporting.fonts import drawable, fonts_for, without_unknown

_INCHES_PER_GENRE = 0.55
_DPI = 120


def plot_confusion(path: Path, confusion: list[list[int]], labels: list[str], title: str) -> None:
    """Plot a confusion matrix: cells show the number of tracks, colours the fraction of the true genre.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    confusion : list of list of int
        Counts with one row per true genre and one column per predicted genre.
    labels : list of str
        Names of the genres; those that no installed font can draw are replaced by their numbers.
    title : str
        Title of the plot.
    """
    names, heading = drawable(labels, path), without_unknown(title)
    with fonts_for([*names, heading]):
        _plot(path, np.array(confusion), names, heading)


def _plot(path: Path, counts: np.ndarray, labels: list[str], title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + _INCHES_PER_GENRE * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(fraction, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10, wrap=True)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if fraction[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    FigureCanvasAgg(figure).print_figure(path, dpi=_DPI)
