"""A figure of the report: the traces and the layout of plotly.js as plain data.

Colours are names (``@accent``), which the page replaces by the colours of its light or dark scheme. The page
holds the basic bundle of plotly.js, which draws points, lines and bars.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ACCENT, QUIET, GOOD, STOPPED = "@accent", "@quiet", "@good", "@stopped"
"""Names of colours; the BASELINE is `QUIET`."""

SERIES = tuple(f"@series{number}" for number in range(6))
"""Colours of several runs in one figure."""

SCALE = "Viridis"
"""Colour scale of scores; readable in greyscale and with common colour blindness."""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    name : str
        Identifier, unique in a run's section.
    title, caption : str
        Heading, and explanation for the reader.
    data : list of dict
        Traces of plotly.js.
    layout : dict
        Layout of plotly.js, without the settings common to all figures.
    """

    name: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def numbers(values: Iterable[float | None], digits: int = 4) -> list[float | None]:
    """Round to significant digits, to keep the page small; values that are not finite become None."""
    return [
        None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
        for value in values
    ]


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Return the layout of an axis."""
    return {"title": {"text": title, "standoff": 10}, "automargin": True, **options}


def percent_axis(title: str, **options: Any) -> dict[str, Any]:
    """Return the layout of an axis in percent."""
    return axis(title, ticksuffix=" %", nticks=7, **options)


def count_axis(title: str, highest: float, **options: Any) -> dict[str, Any]:
    """Return the layout of an axis of whole numbers up to `highest`."""
    step = {"dtick": 1} if highest <= 10 else {"nticks": 8}
    return axis(title, tickformat="d", **step, **options)
