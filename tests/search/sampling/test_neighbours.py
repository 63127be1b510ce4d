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
BASELINE = FAMILY.baseline(50)
CENTRE = {**BASELINE, "input_pooling": "time"}


def changes(point: dict[str, Any]) -> int:
    """Count the parameters of the centre that a configuration changes or lacks."""
    return sum(point.get(name) != value for name, value in CENTRE.items())


def test_neighbours_change_a_few_parameters_of_the_centre() -> None:
    points = neighbours(SPACE, CENTRE, 60, seed=0)
    assert len({str(point) for point in points}) == len(points) == 60
    assert min(map(changes, points)) >= 1
    # 27 parameters change with a probability of 20 %, some to the same value.
    assert 3 < np.mean([changes(point) for point in points]) < 6
    assert {name for point in points for name in point} == set(SPACE.distributions)


def test_neighbours_are_complete_configurations_of_the_space() -> None:
    for point in neighbours(SPACE, CENTRE, 60, seed=1):
        assert fit(point, SPACE) == point
        assert ("weight_decay" in point) == point["decay"]
        assert ("sgd_learning_rate" in point) == (point["optimizer"] == "sgd")
        assert ("momentum" in point) == (point["normalisation"] == "batch")
        assert ("mask_share" in point) == bool(point["time_masks"] or point["frequency_masks"])


def test_neither_the_centre_nor_the_baseline_is_a_neighbour() -> None:
    narrow = {name: value for name, value in BASELINE.items() if name not in ("input_pooling", "batch_size")}
    choices = {"input_pooling": {"choices": ("none", "time")}, "batch_size": {"choices": (32, 64)}}
    points = neighbours(SearchSpace(FAMILY, 50, narrow, choices), CENTRE, 9, seed=0)
    assert sorted(point["input_pooling"] for point in points) == ["none", "time"]
    assert {point["batch_size"] for point in points} == {64}


def test_the_seed_determines_the_neighbours() -> None:
    assert neighbours(SPACE, CENTRE, 5, seed=1) == neighbours(SPACE, CENTRE, 5, seed=1)
    assert neighbours(SPACE, CENTRE, 5, seed=1) != neighbours(SPACE, CENTRE, 5, seed=2)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (9, 1)])
def test_a_narrow_space_has_fewer_neighbours(count: int, expected: int) -> None:
    fixed = {name: value for name, value in BASELINE.items() if name != "batch_size"}
    narrow = SearchSpace(FAMILY, 50, fixed, {"batch_size": {"choices": (32, 64)}})
    points = neighbours(narrow, BASELINE, count, seed=0)
    assert points == [{"batch_size": 64}] * expected
