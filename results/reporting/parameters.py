"""Figures of the searched parameters: parallel coordinates, slices and pairs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from results.reporting.figure import Figure, numbers, percent_axis
from results.reporting.importance import Importances
from results.reporting.pairs import pair_figure
from results.reporting.progress import thinned
from results.reporting.run_data import RunData
from results.reporting.scale import Scale

_MAX_AXES, _MAX_SLICES, _PAIRED_PARAMETERS = 8, 8, 3
_MIN_LINES, _MIN_POINTS, _MIN_PAIRED = 8, 5, 20
"""Minimum number of trials in the parallel coordinates, in a slice, and in a pair of parameters."""
_MAX_LINES = 300
"""Maximum number of trials in the parallel coordinates."""
_BINS = 8
"""Number of line colours; one trace per colour is fast to draw."""
_MAX_POINTS = 1000


class ParameterFigures:
    """Figures of the trials of a run over their parameters.

    Parameters
    ----------
    run_data : RunData
        The data of the run.
    importance : Importances
        Importance of its parameters; the most important come first.
    """

    def __init__(self, run_data: RunData, importance: Importances) -> None:
        frame = run_data.scored
        rows = thinned(len(frame), _MAX_POINTS)
        configs = run_data.configurations()
        self.configs = [configs[row] for row in rows]
        self.score = 100 * frame["val_accuracy"].to_numpy()[rows]
        self.names = [f"{run_data.run.name}:{number}" for number in frame.index[rows]]
        used_names = {name for config in self.configs for name in config}
        ordered = [name for name in importance.shares if name in used_names]
        ordered += sorted(used_names - set(ordered))
        scales = [
            Scale.of(
                name,
                [config[name] for config in self.configs if name in config],
                run_data.info.space.get(name),
            )
            for name in ordered
        ]
        self.scales = [scale for scale in scales if scale.varies]

    def figures(self) -> list[Figure]:
        """Draw the figures for which there are enough trials; none if no parameter varies."""
        if not self.scales:
            return []
        return [
            *([self._parallel()] if len(self.configs) >= _MIN_LINES else []),
            *self._slices(),
            *self._pairs(),
        ]

    def _parallel(self) -> Figure:
        """Draw the parallel coordinates."""
        scales = self.scales[:_MAX_AXES]
        order = np.argsort(self.score, kind="stable")[::-1]
        drawn = order[thinned(len(order), _MAX_LINES)][::-1]
        edges = np.quantile(self.score[drawn], np.linspace(0, 1, _BINS + 1)[1:-1])
        bins = np.searchsorted(edges, self.score[drawn], side="right")
        low, high = float(self.score[drawn].min()), float(self.score[drawn].max())
        data: list[dict[str, Any]] = []
        for number in range(_BINS):
            rows = drawn[bins == number]
            if not len(rows):
                continue
            x: list[float | None] = []
            y: list[float | None] = []
            for row in rows:
                config = self.configs[row]
                positions = [
                    scale.place(config[scale.name]) if scale.name in config else None for scale in scales
                ]
                fraction = (self.score[row] - low) / (high - low) if high > low else 0.5
                x += [*range(len(scales) + 1), None]
                y += [*numbers([*positions, fraction]), None]
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
            f"One line per trial ({len(drawn)} drawn), from its parameters to its accuracy; brighter is"
            " better. A line is interrupted at parameters that the trial does not have.",
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
        """Draw the accuracy over each parameter."""
        figures: list[Figure] = []
        for scale in self.scales[:_MAX_SLICES]:
            rows = [row for row, config in enumerate(self.configs) if scale.name in config]
            if len(rows) < _MIN_POINTS:
                continue
            positions = np.array([scale.place(self.configs[row][scale.name]) for row in rows])
            jitter = 0.0
            if scale.choices:  # jitter keeps the points of a choice distinguishable
                jitter = 0.3 / max(len(scale.choices), 2)
                positions = positions + np.random.default_rng(0).uniform(-jitter, jitter, len(positions))
            ticks = scale.ticks()
            figures.append(
                Figure(
                    f"slice-{len(figures)}",
                    scale.name,
                    "",
                    [
                        {
                            "type": "scatter",
                            "mode": "markers",
                            "x": numbers(positions),
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
                            "tickvals": [position for position, _ in ticks],
                            "ticktext": [text for _, text in ticks],
                            "automargin": True,
                            "range": [-0.06 - jitter, 1.06 + jitter],
                            "zeroline": False,
                        },
                        "yaxis": percent_axis(""),
                        "height": 240,
                    },
                )
            )
        return figures

    def _pairs(self) -> list[Figure]:
        """Draw the accuracy over pairs of the first parameters."""
        figures: list[Figure] = []
        for across, up in combinations(self.scales[:_PAIRED_PARAMETERS], 2):
            rows = [
                row for row, config in enumerate(self.configs) if across.name in config and up.name in config
            ]
            if len(rows) < _MIN_PAIRED:
                continue
            x = np.array([across.place(self.configs[row][across.name]) for row in rows])
            y = np.array([up.place(self.configs[row][up.name]) for row in rows])
            names = [self.names[row] for row in rows]
            figures.append(pair_figure(f"pair-{len(figures)}", across, up, x, y, self.score[rows], names))
        return figures
