from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.asha import BaselineKeepingASHA, RungKeeper


def asha() -> BaselineKeepingASHA:
    made = BaselineKeepingASHA(time_attr="epoch", max_t=20, grace_period=2, reduction_factor=2)
    made.set_search_properties("val_accuracy", "max")
    return made


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=f"t{number}", config={"trial_number": number})


def report(scheduler: BaselineKeepingASHA, number: int, accuracy: float, epoch: int = 2) -> str:
    if f"t{number}" not in scheduler._trial_info:
        scheduler.on_trial_add(None, trial(number))
    return scheduler.on_trial_result(None, trial(number), {"epoch": epoch, "val_accuracy": accuracy})


def test_weak_trials_stop_and_the_baseline_does_not() -> None:
    scheduler = asha()
    for number in (1, 2, 3):
        report(scheduler, number, 0.5 + number / 10)
    assert report(scheduler, 4, 0.1) == TrialScheduler.STOP
    assert report(scheduler, 0, 0.1) == TrialScheduler.CONTINUE


def test_the_baselines_score_counts_at_its_rung() -> None:
    scheduler = asha()
    report(scheduler, 0, 0.7)
    assert report(scheduler, 1, 0.6) == TrialScheduler.STOP


@pytest.mark.parametrize("outcome", ["FAIL", "OOM"])
def test_a_failed_trial_leaves_no_score(outcome: str) -> None:
    scheduler = asha()
    scheduler.on_trial_add(None, trial(1))
    scheduler.on_trial_complete(None, trial(1), {"epoch": 3, "val_accuracy": 0.0, "outcome": outcome})
    assert not any(recorded for _, recorded in scheduler._brackets[0]._rungs)


def test_rungs_survive_a_snapshot() -> None:
    before = asha()
    report(before, 1, 0.7)
    state = copy.deepcopy(RungKeeper(before).get_state())
    after = asha()
    RungKeeper(after).set_state(state)
    assert report(after, 2, 0.6) == TrialScheduler.STOP


def test_schedulers_without_rungs_have_nothing_to_keep() -> None:
    keeper = RungKeeper(FIFOScheduler())
    keeper.set_state(keeper.get_state())
    assert keeper.get_state() == {"rungs": []}
