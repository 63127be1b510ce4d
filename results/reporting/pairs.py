"""The figure of a pair of parameters: the accuracy of each trial over a surface between the trials."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from data.analysis.colour_maps import colour_table
from results.reporting.figure import SCALE, Figure, axis, numbers
from results.reporting.scale import Scale

_GRID_POINTS = 24
_MARGIN = 0.06


def pair_figure(
    name: str,
    across: Scale,
    up: Scale,
    x: np.ndarray,
    y: np.ndarray,
    score: np.ndarray,
    trials: Sequence[str],
) -> Figure:
    """Draw the trials over two parameters.

    Parameters
    ----------
    name : str
        Identifier of the figure.
    across, up : Scale
        The parameters on the horizontal and the vertical axis.
    x, y : ndarray of float64, shape (n,)
        Positions of the trials, from 0 to 1.
    score : ndarray of float64, shape (n,)
        Accuracies in percent.
    trials : sequence of str
        Names of the trials.
    """
    grid = np.linspace(-_MARGIN, 1 + _MARGIN, _GRID_POINTS)
    low, high = float(score.min()), float(score.max())
    horizontal, vertical = across.ticks(), up.ticks()
    ends = [-_MARGIN, 1 + _MARGIN]
    return Figure(
        name,
        f"{across.name} and {up.name}",
        "",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "x": numbers(x),
                "y": numbers(y),
                "text": [f"{trial}: {value:.1f} %" for trial, value in zip(trials, score, strict=True)],
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {
                    "size": 8,
                    "color": numbers(score),
                    "colorscale": SCALE,
                    "cmin": low,
                    "cmax": high,
                    "showscale": True,
                    "colorbar": {"thickness": 10, "ticksuffix": " %", "nticks": 5},
                    "line": {"width": 1, "color": "#fff"},
                },
            }
        ],
        {
            "xaxis": axis(
                across.name,
                tickvals=[position for position, _ in horizontal],
                ticktext=[text for _, text in horizontal],
                range=ends,
                showgrid=False,
                zeroline=False,
            ),
            "yaxis": axis(
                up.name,
                tickvals=[position for position, _ in vertical],
                ticktext=[text for _, text in vertical],
                range=ends,
                showgrid=False,
                zeroline=False,
            ),
            "images": [
                {
                    "source": _surface_image(smoothed(x, y, score, grid), low, high),
                    "xref": "x",
                    "yref": "y",
                    "x": ends[0],
                    "y": ends[1],
                    "sizex": ends[1] - ends[0],
                    "sizey": ends[1] - ends[0],
                    "sizing": "stretch",
                    "layer": "below",
                }
            ],
            "height": 320,
        },
    )


def _surface_image(surface: np.ndarray, low: float, high: float) -> str:
    """Return a surface as PNG in a data URI, the first row at the bottom; the browser interpolates it."""
    level = np.clip((surface - low) / max(high - low, 1e-9), 0, 1)
    pixels = colour_table(SCALE.lower())[np.rint(255 * level[::-1]).astype(np.uint8)]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def smoothed(x: np.ndarray, y: np.ndarray, score: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Average the scores around each grid point, weighted by inverse squared distance (Shepard, 1968).

    Parameters
    ----------
    x, y, score : ndarray of float64, shape (n,)
        Positions from 0 to 1, and scores.
    grid : ndarray of float64, shape (m,)
        Positions of the grid on both axes.

    Returns
    -------
    ndarray of float64, shape (m, m)
        One row per position on the vertical axis. A constant is added to each squared distance, so that
        trials at the same position are averaged.
    """
    distance = (grid[None, :, None] - x) ** 2 + (grid[:, None, None] - y) ** 2 + 2e-3
    weight = 1 / distance
    return np.asarray((weight * score).sum(axis=2) / weight.sum(axis=2))
