from __future__ import annotations

import pytest
from ray.tune.schedulers import FIFOScheduler

from search.tune.asha import BaselineKeepingASHA
from search.tune.median_rule import MedianRule
from search.tune.schedulers import (
    SCHEDULERS,
    default_grace_period,
    make_scheduler,
    milestones,
    most_brackets,
    rungs,
)

KINDS = {
    "asha": BaselineKeepingASHA,
    "hyperband": BaselineKeepingASHA,
    "median": MedianRule,
    "none": FIFOScheduler,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_name_creates_its_scheduler(name: str) -> None:
    scheduler = make_scheduler(name, max_epochs=20, grace_period=2, reduction_factor=3)
    assert type(scheduler) is KINDS[name]


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="'sha' is not one of asha"):
        make_scheduler("sha", max_epochs=20, grace_period=2, reduction_factor=3)


@pytest.mark.parametrize(
    ("max_epochs", "grace", "factor"), [(100, 25, 3), (100, 11, 3), (81, 1, 3), (10, 10, 2), (3, 1, 2)]
)
def test_rungs_are_the_epochs_at_which_ray_decides(max_epochs: int, grace: int, factor: int) -> None:
    scheduler = make_scheduler("asha", max_epochs=max_epochs, grace_period=grace, reduction_factor=factor)
    deciding = sorted(milestone for milestone, _ in scheduler._brackets[0]._rungs)
    # Ray's last rung may be the last epoch, at which the trial ends anyway.
    assert rungs(max_epochs, grace, factor) == [milestone for milestone in deciding if milestone < max_epochs]


def test_default_grace_period() -> None:
    assert default_grace_period(100) == 25
    assert default_grace_period(2) == 1
    assert default_grace_period(100, scheduler="hyperband") == 11


@pytest.mark.parametrize(
    ("max_epochs", "grace", "factor"), [(100, 11, 3), (81, 1, 3), (8, 1, 2), (10, 10, 2)]
)
def test_hyperband_uses_all_distinct_brackets(max_epochs: int, grace: int, factor: int) -> None:
    scheduler = make_scheduler(
        "hyperband", max_epochs=max_epochs, grace_period=grace, reduction_factor=factor
    )
    sizes = [len(bracket._rungs) for bracket in scheduler._brackets]
    assert sizes == list(range(most_brackets(max_epochs, grace, factor), 0, -1))


def test_milestones_of_the_median_rule() -> None:
    decisions = milestones("median", max_epochs=100, grace_period=25, reduction_factor=3)
    assert (decisions[0], len(decisions)) == (25, 11)
    assert milestones("median", max_epochs=3, grace_period=1, reduction_factor=3) == [1, 2]
    assert milestones("none", max_epochs=100, grace_period=25, reduction_factor=3) == []
