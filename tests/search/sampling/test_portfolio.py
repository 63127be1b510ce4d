from __future__ import annotations

import pytest

import spaces
from search.sampling.portfolio import portfolio
from search.sampling.search_space import SearchSpace
from search.sampling.warm_start import fit


@pytest.mark.parametrize("name", ["melspec_cnn", "image_cnn"])
def test_neighbours_of_the_first_follow_the_portfolio(name: str) -> None:
    family = spaces.get(name)
    first, *others = points = portfolio(SearchSpace(family, 50), seed=0)
    assert (len(points), first) == (10, dict(family.PORTFOLIO[0]))
    for point in others:
        changed = {key for key, value in point.items() if key in first and value != first[key]}
        # A fifth of some thirty parameters on average, and at most half.
        assert 1 <= len(changed) <= len(first) / 2


def test_a_family_without_neighbours_has_its_portfolio_only() -> None:
    family = spaces.get("features_mlp")
    space = SearchSpace(family, 50, {"dropout": 0.1})
    points = portfolio(space, seed=0)
    assert points == [fit(config, space) for config in family.PORTFOLIO]
    assert all("dropout" not in point and point["epochs"] <= 50 for point in points)
    assert portfolio(SearchSpace(spaces.get("embedding_mlp"), 50), seed=0) == []
