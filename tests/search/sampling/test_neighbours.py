from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spaces
from search.sampling.neighbours import neighbours
from search.sampling.search_space import SearchSpace
from search.sampling.warm_start import fit

FAMILY = spaces.get("melspec_cnn")
SPACE = SearchSpace(FAMILY, 50)


def changes(point: dict[str, Any]) -> int:
    """Count the parameters of the BASELINE that a configuration changes or lacks."""
    baseline = FAMILY.baseline(50)
    return sum(point.get(name) != value for name, value in baseline.items())


def test_neighbours_change_a_few_parameters_of_the_baseline() -> None:
    points = neighbours(SPACE, 60, seed=0)
    assert len({str(point) for point in points}) == len(points) == 60
    assert min(map(changes, points)) >= 1
    # 27 parameters change with a probability of 20 %, some to the same value.
    assert 3 < np.mean([changes(point) for point in points]) < 6
    assert {name for point in points for name in point} == set(SPACE.distributions)


def test_neighbours_are_complete_configurations_of_the_space() -> None:
    for point in neighbours(SPACE, 60, seed=1):
        assert fit(point, SPACE) == point
        assert ("weight_decay" in point) == point["decay"]
        assert ("sgd_learning_rate" in point) == (point["optimizer"] == "sgd")
        assert ("momentum" in point) == (point["normalisation"] == "batch")


def test_the_seed_determines_the_neighbours() -> None:
    assert neighbours(SPACE, 5, seed=1) == neighbours(SPACE, 5, seed=1)
    assert neighbours(SPACE, 5, seed=1) != neighbours(SPACE, 5, seed=2)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (9, 1)])
def test_a_narrow_space_has_fewer_neighbours(count: int, expected: int) -> None:
    fixed = {name: value for name, value in FAMILY.baseline(50).items() if name != "batch_size"}
    narrow = SearchSpace(FAMILY, 50, fixed, {"batch_size": {"choices": (32, 64)}})
    points = neighbours(narrow, count, seed=0)
    assert points == [{"batch_size": 64}] * expected
