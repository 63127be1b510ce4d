from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.dataset.track_groups import TrackGroups

NAMES = ["b", "a", "b", "c", "b", "a"]


def test_groups_are_counted() -> None:
    groups = TrackGroups.of(NAMES)
    assert (groups.n_tracks, groups.n_groups, groups.clustered) == (6, 3, True)
    assert groups.size.tolist() == [2, 3, 1]
    assert groups.sums(np.array([1, 2, 3, 4, 5, 6])).tolist() == [8, 9, 4]
    assert groups.sums(np.eye(6)).shape == (3, 6)


def test_independent_tracks_are_not_clustered() -> None:
    assert not TrackGroups.independent(4).clustered
    assert not TrackGroups.of(["x", "y"]).clustered


def test_resamples_draw_whole_groups() -> None:
    draws = TrackGroups.of(NAMES).resampled(50, np.random.default_rng(0))
    assert draws.shape == (50, 3)
    assert (draws.sum(axis=1) == 3).all()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 99))
def test_parts_keep_groups_whole_and_are_about_equal(names: list[int], count: int, seed: int) -> None:
    groups = TrackGroups.of(list(map(str, names)))
    part = groups.parts(count, seed)
    for number in range(groups.n_groups):
        assert len(set(part[groups.number == number].tolist())) == 1
    filled = np.bincount(part)
    assert len(filled) == min(count, groups.n_groups)
    assert filled.max() - filled.min() <= groups.size.max()
