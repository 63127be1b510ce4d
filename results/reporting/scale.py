"""Map the values of a parameter, numbers or choices, to positions from 0 to 1 on an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
    whole : bool
        Whether the parameter is a whole number.
    """

    name: str
    choices: tuple[Any, ...]
    low: float
    high: float
    log: bool
    whole: bool = False

    @classmethod
    def of(cls, name: str, values: Sequence[Any], distribution: dict[str, Any] | None) -> Scale:
        """Create the axis of a parameter from its values and its distribution in JSON."""
        kind = (distribution or {}).get("name")
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        if kind == "CategoricalDistribution" or not numeric:
            return cls(name, tuple(sorted(set(values), key=_sort_key)), 0.0, 1.0, False)
        log = bool((distribution or {}).get("attributes", {}).get("log")) and min(values) > 0
        ends = [math.log10(value) if log else float(value) for value in (min(values), max(values))]
        return cls(name, (), ends[0], ends[1], log, all(float(value).is_integer() for value in values))

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
        """Return the positions and labels of about `count` ticks: all choices, or round numbers."""
        if self.choices:
            return [(self.place(choice), str(choice)) for choice in self.choices]
        values = self._powers(count) if self.log else _multiples(self.low, self.high, count, whole=self.whole)
        return [(self.place(value), f"{value:.6g}") for value in values]

    def _powers(self, count: int) -> list[float]:
        """Return powers of ten, or numbers between them where that is too few."""
        first, last = math.floor(self.low), math.ceil(self.high)
        for factors in ((1,), (1, 3), (1, 2, 5)):
            values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
            inside = [value for value in values if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
            if len(inside) >= 3:
                return inside[:: -(-len(inside) // (count + 1))]
        return _multiples(10**self.low, 10**self.high, count, whole=self.whole)


def _multiples(low: float, high: float, count: int, *, whole: bool) -> list[float]:
    """Return the multiples of a round step between two numbers, at most `count` + 1."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if (high - low) / (factor * power) <= count)
    step = max(step, 1.0) if whole else step
    multiples = [
        step * number for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return multiples or [low, high]


def _sort_key(value: Any) -> tuple[str, Any]:
    """Sort numbers by value, before other values by their text."""
    if isinstance(value, (int, float)):
        return "", float(value)
    return "a", str(value)
