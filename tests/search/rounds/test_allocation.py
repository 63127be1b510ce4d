from __future__ import annotations

import numpy as np
import pytest

from data.dataset.paired_tests import paired
from data.errors import SettingsError
from search.rounds.allocation import is_surely_worse, round_trials, seconds_for_finals, slice_seconds
from search.rounds.families import is_several, requested_families


def test_a_round_lasts_about_as_long_as_its_slice() -> None:
    assert slice_seconds(3600, 4) == 150
    # A short budget is not cut into rounds in which workers hardly start.
    assert slice_seconds(60, 4) == 20
    common = {"slice_length": 150.0, "concurrent": 2, "wanted": None}
    # The BASELINE and what fits beside it come first.
    assert round_trials(ended=0, seconds=0, **common) == 2  # type: ignore[arg-type]
    assert round_trials(ended=2, seconds=10, **common) == 30  # type: ignore[arg-type]
    # A family with long trials gets as many as run at the same time.
    assert round_trials(ended=2, seconds=900, **common) == 2  # type: ignore[arg-type]


def test_at_most_half_of_the_budget_is_kept_for_finals() -> None:
    assert seconds_for_finals([], time_budget=3600) == 0
    assert seconds_for_finals([900, 800], time_budget=3600) == 1700
    # One that does not fit leaves its place to the next.
    assert seconds_for_finals([900, 1000, 300], time_budget=3600) == 1200
    assert seconds_for_finals([2000], time_budget=3600) == 0


def test_trials_per_family_bound_the_rounds() -> None:
    common = {"seconds": 10.0, "concurrent": 2, "wanted": 15}
    assert round_trials(ended=0, slice_length=None, **common) == 2  # type: ignore[arg-type]
    assert round_trials(ended=2, slice_length=None, **common) == 10  # type: ignore[arg-type]
    assert round_trials(ended=12, slice_length=600.0, **common) == 3  # type: ignore[arg-type]
    assert round_trials(ended=15, slice_length=None, **common) == 0  # type: ignore[arg-type]


def test_only_a_sure_difference_after_ten_trials_stops_a_family() -> None:
    rng = np.random.default_rng(0)
    good, bad, alike = (rng.random(200) < share for share in (0.8, 0.4, 0.78))
    assert is_surely_worse(paired(bad, good), ended=10)
    assert not is_surely_worse(paired(bad, good), ended=9)
    assert not is_surely_worse(paired(alike, good), ended=40)
    assert not is_surely_worse(paired(good, bad), ended=40)
    assert not is_surely_worse(None, ended=40)


def test_the_names_of_families() -> None:
    assert requested_families("melspec_cnn, features_mlp,melspec_cnn") == ["melspec_cnn", "features_mlp"]
    assert {"features_mlp", "vgg16_transfer"} <= set(requested_families("all"))
    assert [is_several(text) for text in ("all", "a,b", "features_mlp")] == [True, True, False]
    with pytest.raises(SettingsError, match="--family features_mlp,svm: 'svm' is unknown; give all, or some"):
        requested_families("features_mlp,svm")
    with pytest.raises(SettingsError, match="a name is missing"):
        requested_families("features_mlp,")
