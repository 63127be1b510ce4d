"""Values of a parameter as places from 0 to 1 on an axis, whatever they are."""

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
        The parameter.
    choices : tuple
        Its values, where it is one of a few; empty for a range.
    low, high : float
        Ends of a range, as logarithms where `log`.
    log : bool
        Whether the range is searched by logarithm.
    """

    name: str
    choices: tuple[Any, ...]
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, name: str, values: Sequence[Any], described: dict[str, Any] | None) -> Scale:
        """Make the axis of a parameter from the values it took and its distribution in JSON."""
        kind = (described or {}).get("name")
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        if kind == "CategoricalDistribution" or not numeric:
            return cls(name, tuple(sorted(set(values), key=_sorting)), 0.0, 1.0, False)
        log = bool((described or {}).get("attributes", {}).get("log")) and min(values) > 0
        ends = [math.log10(value) if log else float(value) for value in (min(values), max(values))]
        return cls(name, (), ends[0], ends[1], log)

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len(self.choices) > 1 if self.choices else self.high > self.low

    def place(self, value: Any) -> float:
        """Place of a value, from 0 to 1."""
        if self.choices:
            return self.choices.index(value) / max(len(self.choices) - 1, 1)
        number = math.log10(value) if self.log else float(value)
        return (number - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Places and labels."""
        if self.choices:
            return [(self.place(choice), str(choice)) for choice in self.choices]
        places = np.linspace(0, 1, count)
        numbers = self.low + places * (self.high - self.low)
        return [
            (float(place), f"{10**number if self.log else number:.3g}")
            for place, number in zip(places, numbers, strict=True)
        ]


def _sorting(value: Any) -> tuple[str, Any]:
    """Sort numbers by size and the rest by name."""
    if isinstance(value, (int, float)):
        return "", float(value)
    return "a", str(value)
