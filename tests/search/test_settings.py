from __future__ import annotations

from typing import Any

import pytest

from data.errors import SettingsError
from search.settings import SearchSettings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "opera"}, "--family opera: unknown; the families are"),
        ({"trials": 0}, "--trials 0: input should be greater than or equal to 1"),
        ({"max_epochs": -1}, "--max-epochs -1"),
        ({"folds": 0}, "--folds 0"),
        ({"test_fraction": 0.9}, "--test-fraction 0.9"),
        ({"reduction_factor": 1}, "--reduction-factor 1"),
        ({"grace_period": 30, "max_epochs": 20}, "--grace-period 30: longer than --max-epochs 20"),
        ({"time_budget": 0}, "--time-budget 0"),
        ({"cpus_per_trial": 0}, "--cpus-per-trial 0"),
        ({"searcher": "best"}, "--searcher best: unknown; choose one of tpe"),
        ({"scheduler": "never"}, "--scheduler never: unknown; choose one of asha"),
        ({"name": "a/b"}, "--name a/b: a run's name is one folder's name"),
        ({"name": ".."}, "--name ..: a run's name is one folder's name"),
        ({"runs": "s3://bucket/runs"}, "--runs s3://bucket/runs: the study's journal needs a local folder"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_bad_settings_are_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SearchSettings.checked(**{"family": "features_mlp", **options})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_milestones_follow_the_budget() -> None:
    assert SearchSettings.checked(family="features_mlp").milestones == (25, 75)
    settings = SearchSettings.checked(family="features_mlp", max_epochs=8, grace_period=1, reduction_factor=2)
    assert settings.milestones == (1, 2, 4)
