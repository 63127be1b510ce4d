"""A figure of the report: the traces and the layout of plotly.js as plain data.

Colours are names (``@accent``), which the page replaces by the colours of its light or dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ACCENT, MUTED, GOOD, STOPPED, BASE = "@accent", "@muted", "@good", "@stopped", "@base"
"""Names of colours."""

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
    return {"title": {"text": title}, "automargin": True, **options}
