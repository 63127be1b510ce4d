"""A finite grid over a space, for ``--searcher grid``.

A categorical parameter takes each of its choices; a number takes its lowest, middle and highest value (the
geometric middle if the space is logarithmic). A conditional parameter is varied only where its condition
holds. A grid is useful if ``--set`` and ``--space`` leave few parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from data.errors import SettingsError
from search.sampling.search_space import SearchSpace


def grid_points(space: SearchSpace, *, most: int | None = None) -> list[dict[str, Any]]:
    """Return all configurations of the grid, without fixed parameters.

    Parameters
    ----------
    space : SearchSpace
        The space.
    most : int, optional
        Maximum number of configurations; without it, all are returned.

    Raises
    ------
    SettingsError
        If the grid has more configurations than `most`.
    """
    points = list(islice(_enumerate(space), None if most is None else most + 1))
    if most is not None and len(points) > most:
        raise SettingsError(
            f"--searcher grid: the grid has more than {most} configurations besides the BASELINE; fix"
            " parameters with --set, narrow them with --space, or raise --trials"
        )
    return points


def _enumerate(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """Walk the tree of decisions depth first; each walk changes one decision of the previous walk."""
    path: list[tuple[int, int]] = []
    while True:
        walker = _Walker([taken for taken, _ in path])
        space(walker)
        yield walker.params
        path = walker.path
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1] = (path[-1][0] + 1, path[-1][1])


class _Walker:
    """Stand-in for a trial that takes the given decisions, then the first value of each parameter."""

    number = 1

    def __init__(self, decisions: Sequence[int]) -> None:
        self._decisions = decisions
        self.path: list[tuple[int, int]] = []
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._take(name, choices)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        middle = low + round((_middle(low, high, log) - low) / step) * step
        return self._take(name, sorted({low, middle, high}))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        middle = _middle(low, high, log)
        if step is not None:
            middle = low + round((middle - low) / step) * step
        return self._take(name, sorted({low, middle, high}))

    def _take(self, name: str, values: Sequence[Any]) -> Any:
        depth = len(self.path)
        taken = self._decisions[depth] if depth < len(self._decisions) else 0
        self.path.append((taken, len(values)))
        self.params[name] = values[taken]
        return values[taken]


def _middle(low: float, high: float, log: bool) -> float:
    return math.sqrt(low * high) if log else (low + high) / 2
