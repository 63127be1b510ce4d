from __future__ import annotations

import pytest
from ray.tune.schedulers import FIFOScheduler

from search.storage.rungs import Rungs, make_rungs
from search.tune.asha import BaselineKeepingASHA
from search.tune.median_rule import MedianRule
from search.tune.schedulers import SCHEDULERS, make_scheduler, most_brackets

KINDS = {
    "asha": BaselineKeepingASHA,
    "hyperband": BaselineKeepingASHA,
    "median": MedianRule,
    "none": FIFOScheduler,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_name_creates_its_scheduler(name: str) -> None:
    rungs = make_rungs(name, grace_period=0.1, reduction_factor=3, min_epochs=1)
    assert type(make_scheduler(name, rungs=rungs, reduction_factor=3)) is KINDS[name]


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="'sha' is not one of asha"):
        make_scheduler("sha", rungs=Rungs(), reduction_factor=3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_hyperband_uses_all_distinct_brackets(factor: int) -> None:
    rungs = make_rungs("hyperband", grace_period=None, reduction_factor=factor, min_epochs=1)
    scheduler = make_scheduler("hyperband", rungs=rungs, reduction_factor=factor)
    assert isinstance(scheduler, BaselineKeepingASHA)
    sizes = [len(bracket._rungs) for bracket in scheduler._brackets]
    assert sizes == [2, 1, 0]
    assert most_brackets(rungs) == 3


def test_a_run_of_format_1_that_is_too_short_for_a_rung_stops_no_trial() -> None:
    assert type(make_scheduler("asha", rungs=Rungs((), "epochs"), reduction_factor=3)) is FIFOScheduler
