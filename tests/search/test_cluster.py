from __future__ import annotations

import pytest

from data.errors import SettingsError
from search.cluster import concurrent_trials


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "wanted", "expected"),
    [
        ({"CPU": 8}, 1, 0, None, 8),
        ({"CPU": 8}, 3, 0, None, 2),
        ({"CPU": 8}, 0.5, 0, None, 16),
        ({"CPU": 8}, 1, 0, 3, 3),
        ({"CPU": 8}, 1, 0, 30, 8),
        ({"CPU": 8, "GPU": 1}, 1, 0.25, None, 4),
        ({"CPU": 8, "GPU": 4}, 1, 2, None, 2),
    ],
)
def test_as_many_trials_as_fit(
    resources: dict[str, float], cpus: float, gpus: float, wanted: int | None, expected: int
) -> None:
    assert concurrent_trials(resources, cpus=cpus, gpus=gpus, wanted=wanted) == expected


def test_a_trial_that_fits_nowhere() -> None:
    with pytest.raises(SettingsError, match="--gpus-per-trial 1: the cluster has 0 GPUs"):
        concurrent_trials({"CPU": 8}, cpus=1, gpus=1, wanted=None)
    with pytest.raises(SettingsError, match="--cpus-per-trial 9: the cluster has 8 CPUs"):
        concurrent_trials({"CPU": 8}, cpus=9, gpus=0, wanted=None)
