"""The configurations that a search tries after the BASELINE."""

from __future__ import annotations

from typing import Any

from search.sampling.neighbours import neighbours
from search.sampling.search_space import SearchSpace
from search.sampling.warm_start import fit


def portfolio(space: SearchSpace, *, seed: int) -> list[dict[str, Any]]:
    """Return the family's portfolio, fitted to the space, then neighbours of its first; all different.

    Parameters
    ----------
    space : SearchSpace
        The space.
    seed : int
        Seed of the neighbours.
    """
    family = space.family
    centre = family.PORTFOLIO[0] if family.PORTFOLIO else family.baseline(space.max_epochs)
    fitted = [fit(config, space) for config in family.PORTFOLIO]
    points: list[dict[str, Any]] = []
    for point in [*fitted, *neighbours(space, centre, family.n_neighbours, seed=seed)]:
        if point not in points:
            points.append(point)
    return points
