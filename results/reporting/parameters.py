"""Figures of what was searched: parallel coordinates, slices and contours."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from results.reporting.figure import SCALE, Figure, axis, numbers
from results.reporting.importance import Importances
from results.reporting.progress import thinned
from results.reporting.run_data import Material
from results.reporting.scale import Scale

_AXES, _SLICES, _PAIRS = 8, 8, 3
_LINES = 300
"""Trials that are lines of the parallel coordinates."""
_BINS = 8
"""Colours of those lines: a trace a colour draws fast."""
_POINTS = 1000
_GRID = 24


class Searched:
    """The trials of a run as places on the axes of their parameters.

    Parameters
    ----------
    one : Material
        The run.
    found : Importances
        Its parameters' importance, by which axes are ordered.
    """

    def __init__(self, one: Material, found: Importances) -> None:
        frame = one.scored
        chosen = thinned(len(frame), _POINTS)
        configs = one.configurations()
        self.configs = [configs[row] for row in chosen]
        self.score = 100 * frame["val_accuracy"].to_numpy()[chosen]
        self.names = frame["trial_id"].iloc[chosen].tolist()
        used = {name for config in self.configs for name in config}
        ordered = [name for name in found.shares if name in used]
        ordered += sorted(used - set(ordered))
        scales = [
            Scale.of(
                name, [config[name] for config in self.configs if name in config], one.info.space.get(name)
            )
            for name in ordered
        ]
        self.scales = [scale for scale in scales if scale.varies]

    def figures(self) -> list[Figure]:
        """All that can be drawn; empty where no parameter varied."""
        if not self.scales:
            return []
        return [self._parallel(), *self._slices(), *self._contours()]

    def _parallel(self) -> Figure:
        scales = self.scales[:_AXES]
        order = np.argsort(self.score, kind="stable")[::-1]
        kept = order[thinned(len(order), _LINES)][::-1]
        edges = np.quantile(self.score[kept], np.linspace(0, 1, _BINS + 1)[1:-1])
        bins = np.searchsorted(edges, self.score[kept], side="right")
        low, high = float(self.score[kept].min()), float(self.score[kept].max())
        data: list[dict[str, Any]] = []
        for number in range(_BINS):
            rows = kept[bins == number]
            if not len(rows):
                continue
            x: list[float | None] = []
            y: list[float | None] = []
            for row in rows:
                config = self.configs[row]
                places = [
                    scale.place(config[scale.name]) if scale.name in config else None for scale in scales
                ]
                share = (self.score[row] - low) / (high - low) if high > low else 0.5
                x += [*range(len(scales) + 1), None]
                y += [*numbers([*places, share]), None]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": x,
                    "y": y,
                    "showlegend": False,
                    "hoverinfo": "skip",
                    "opacity": 0.3 + 0.6 * (number + 1) / _BINS,
                    "line": {
                        "width": 1 + 1.5 * (number == _BINS - 1),
                        "color": f"@scale{number / (_BINS - 1):.2f}",
                    },
                }
            )
        ticks = [(index, *tick) for index, scale in enumerate(scales) for tick in scale.ticks(3)]
        score_ticks = [(0.0, f"{low:.0f} %"), (1.0, f"{high:.0f} %")]
        ticks += [(len(scales), *tick) for tick in (score_ticks if high > low else score_ticks[:1])]
        labels = [
            {
                "x": x,
                "y": y,
                "text": text,
                "showarrow": False,
                "font": {"size": 10},
                "xanchor": "left",
                "xshift": 3,
                "bgcolor": "@panel",
                "opacity": 0.85,
            }
            for x, y, text in ticks
        ]
        return Figure(
            "parallel",
            "Parallel coordinates",
            f"A line a trial ({len(kept)} drawn), from its parameters to its accuracy; the brighter the"
            " better. A line is interrupted where a trial lacks a parameter.",
            data,
            {
                "xaxis": {
                    "tickvals": list(range(len(scales) + 1)),
                    "ticktext": [*(scale.name for scale in scales), "accuracy"],
                    "range": [-0.1, len(scales) + 0.5],
                    "showgrid": True,
                    "automargin": True,
                    "tickangle": -30,
                },
                "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
                "margin": {"l": 90},
                "annotations": labels,
            },
        )

    def _slices(self) -> list[Figure]:
        found: list[Figure] = []
        for scale in self.scales[:_SLICES]:
            rows = [row for row, config in enumerate(self.configs) if scale.name in config]
            places = np.array([scale.place(self.configs[row][scale.name]) for row in rows])
            if scale.choices:  # spread a little, so that points of one choice can be told apart
                spread = 0.3 / max(len(scale.choices), 2)
                places = places + np.random.default_rng(0).uniform(-spread, spread, len(places))
            ticks = scale.ticks()
            found.append(
                Figure(
                    f"slice-{len(found)}",
                    scale.name,
                    "",
                    [
                        {
                            "type": "scatter",
                            "mode": "markers",
                            "x": numbers(places),
                            "y": numbers(self.score[rows]),
                            "text": [f"{self.names[row]}: {self.configs[row][scale.name]}" for row in rows],
                            "hovertemplate": "%{text}, %{y:.1f} %<extra></extra>",
                            "marker": {
                                "size": 7,
                                "opacity": 0.7,
                                "color": [f"@scale{row / max(len(self.names) - 1, 1):.2f}" for row in rows],
                            },
                        }
                    ],
                    {
                        "xaxis": {
                            "tickvals": [place for place, _ in ticks],
                            "ticktext": [text for _, text in ticks],
                            "automargin": True,
                        },
                        "yaxis": axis("accuracy, %"),
                        "height": 260,
                    },
                )
            )
        return found

    def _contours(self) -> list[Figure]:
        found: list[Figure] = []
        for across, up in combinations(self.scales[:_PAIRS], 2):
            rows = [
                row for row, config in enumerate(self.configs) if across.name in config and up.name in config
            ]
            if len(rows) < 4:
                continue
            x = np.array([across.place(self.configs[row][across.name]) for row in rows])
            y = np.array([up.place(self.configs[row][up.name]) for row in rows])
            grid = np.linspace(0, 1, _GRID)
            surface = smoothed(x, y, self.score[rows], grid)
            horizontal, vertical = across.ticks(), up.ticks()
            found.append(
                Figure(
                    f"contour-{len(found)}",
                    f"{across.name} and {up.name}",
                    "",
                    [
                        {
                            "type": "contour",
                            "x": numbers(grid),
                            "y": numbers(grid),
                            "z": [numbers(line, 3) for line in surface],
                            "colorscale": SCALE,
                            "contours": {"coloring": "heatmap"},
                            "line": {"width": 0.5},
                            "colorbar": {"thickness": 10, "title": {"text": "%"}},
                            "hovertemplate": "about %{z:.1f} %<extra></extra>",
                        },
                        {
                            "type": "scatter",
                            "mode": "markers",
                            "x": numbers(x),
                            "y": numbers(y),
                            "text": [self.names[row] for row in rows],
                            "hovertemplate": "%{text}<extra></extra>",
                            "marker": {"size": 5, "color": "#fff", "line": {"width": 1, "color": "#000"}},
                        },
                    ],
                    {
                        "xaxis": axis(
                            across.name,
                            tickvals=[place for place, _ in horizontal],
                            ticktext=[text for _, text in horizontal],
                        ),
                        "yaxis": axis(
                            up.name,
                            tickvals=[place for place, _ in vertical],
                            ticktext=[text for _, text in vertical],
                        ),
                        "showlegend": False,
                        "height": 320,
                    },
                )
            )
        return found


def smoothed(x: np.ndarray, y: np.ndarray, score: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Mean of the scores around each point of a grid, weighted by inverse squared distance (Shepard, 1968).

    Parameters
    ----------
    x, y, score : ndarray of float64, shape (n,)
        Places from 0 to 1, and scores.
    grid : ndarray of float64, shape (m,)
        Places of the grid on both axes.

    Returns
    -------
    ndarray of float64, shape (m, m)
        A row a place on the vertical axis. A little is added to each distance, so that trials at one place
        share it.
    """
    distance = (grid[None, :, None] - x) ** 2 + (grid[:, None, None] - y) ** 2 + 2e-3
    weight = 1 / distance
    return np.asarray((weight * score).sum(axis=2) / weight.sum(axis=2))
