"""Map the values of a parameter, numbers or choices, to positions from 0 to 1 on an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scale:
    """The axis of one parameter.

    Attributes
    ----------
    name : str
        Name of the parameter.
    choices : tuple
        The values of a categorical parameter; empty for a numeric range.
    low, high : float
        Ends of a range; base-10 logarithms if `log`.
    log : bool
        Whether the axis is logarithmic.
    """

    name: str
    choices: tuple[Any, ...]
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, name: str, values: Sequence[Any], distribution: dict[str, Any] | None) -> Scale:
        """Create the axis of a parameter from its values and its distribution in JSON."""
        kind = (distribution or {}).get("name")
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        if kind == "CategoricalDistribution" or not numeric:
            return cls(name, tuple(sorted(set(values), key=_sort_key)), 0.0, 1.0, False)
        log = bool((distribution or {}).get("attributes", {}).get("log")) and min(values) > 0
        ends = [math.log10(value) if log else float(value) for value in (min(values), max(values))]
        return cls(name, (), ends[0], ends[1], log)

    @property
    def varies(self) -> bool:
        """Whether the parameter has more than one value."""
        return len(self.choices) > 1 if self.choices else self.high > self.low

    def place(self, value: Any) -> float:
        """Return the position of a value, from 0 to 1."""
        if self.choices:
            return self.choices.index(value) / max(len(self.choices) - 1, 1)
        number = math.log10(value) if self.log else float(value)
        return (number - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return the positions and labels of ticks."""
        if self.choices:
            return [(self.place(choice), str(choice)) for choice in self.choices]
        places = np.linspace(0, 1, count)
        numbers = self.low + places * (self.high - self.low)
        return [
            (float(place), f"{10**number if self.log else number:.3g}")
            for place, number in zip(places, numbers, strict=True)
        ]


def _sort_key(value: Any) -> tuple[str, Any]:
    """Sort numbers by value, before other values by their text."""
    if isinstance(value, (int, float)):
        return "", float(value)
    return "a", str(value)
