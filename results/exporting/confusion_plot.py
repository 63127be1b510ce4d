"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_INCHES_A_GENRE = 0.55
_DPI = 120


def confusion_picture(path: Path, confusion: list[list[int]], labels: list[str], title: str) -> None:
    """Draw a confusion matrix: colour by share of the true genre, in each cell the number of tracks.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    confusion : list of list of int
        A row a true genre, a column a chosen one.
    labels : list of str
        Genres.
    title : str
        What the numbers are.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.array(confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + _INCHES_A_GENRE * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("chosen")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10, wrap=True)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    FigureCanvasAgg(figure).print_figure(path, dpi=_DPI)
