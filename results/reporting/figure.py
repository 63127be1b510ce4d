"""A figure of the report: what plotly.js draws, as plain data.

Colours are written as names (``@accent``), which the page turns into those of its light or dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ACCENT, MUTED, GOOD, STOPPED, BASE = "@accent", "@muted", "@good", "@stopped", "@base"
"""Names of colours."""

SCALE = "Viridis"
"""Colour scale of scores; it reads in grey and with every common colour blindness."""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    name : str
        What the page calls it; unique in a run's section.
    title, caption : str
        What it shows, and how to read it.
    data : list of dict
        Traces of plotly.js.
    layout : dict
        Layout of plotly.js, without what all figures share.
    """

    name: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def numbers(values: Iterable[float | None], digits: int = 4) -> list[float | None]:
    """Round to significant digits, which keeps the page small; what is not finite becomes None."""
    return [
        None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
        for value in values
    ]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Describe an axis."""
    return {"title": {"text": title}, "automargin": True, **more}
