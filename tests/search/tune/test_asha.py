from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from search.tune.asha import BaselineKeepingASHA


def asha() -> BaselineKeepingASHA:
    scheduler = BaselineKeepingASHA(time_attr="epoch", max_t=20, grace_period=2, reduction_factor=2)
    scheduler.set_search_properties("val_accuracy", "max")
    return scheduler


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=f"t{number}", config={"trial_number": number})


def report(scheduler: BaselineKeepingASHA, number: int, accuracy: float, epoch: int = 2) -> str:
    if str(number) not in scheduler._trial_info:
        scheduler.on_trial_add(None, trial(number))
    return scheduler.on_trial_result(None, trial(number), {"epoch": epoch, "val_accuracy": accuracy})


def test_weak_trials_are_stopped_but_not_the_baseline() -> None:
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
def test_a_failed_trial_records_no_score(outcome: str) -> None:
    scheduler = asha()
    scheduler.on_trial_add(None, trial(1))
    scheduler.on_trial_complete(None, trial(1), {"epoch": 3, "val_accuracy": 0.0, "outcome": outcome})
    assert not any(recorded for _, recorded in scheduler._brackets[0]._rungs)


def test_rungs_are_rebuilt_from_the_reported_scores() -> None:
    original, rebuilt = (
        BaselineKeepingASHA(
            time_attr="epoch", max_t=20, grace_period=2, reduction_factor=2, brackets=3, seed=5
        )
        for _ in range(2)
    )
    curves = {}
    for scheduler in (original, rebuilt):
        scheduler.set_search_properties("val_accuracy", "max")
    for number in range(12):
        scores = {epoch: ((7 * number + 3 * epoch) % 11) / 11 for epoch in range(1, 2 + number)}
        curves[number] = scores
        for epoch in (2, 4, 8):
            if epoch in scores:
                best = max(score for scored, score in scores.items() if scored <= epoch)
                report(original, number, best, epoch)
    rebuilt.replay(curves.items())
    assert [bracket._rungs for bracket in rebuilt._brackets] == [
        bracket._rungs for bracket in original._brackets
    ]
    assert sum(bool(recorded) for bracket in rebuilt._brackets for _, recorded in bracket._rungs) > 3
    assert report(rebuilt, 20, -1.0, 2) == report(original, 20, -1.0, 2)


def test_brackets_depend_only_on_number_and_seed() -> None:
    def brackets(seed: int) -> list[int]:
        scheduler = BaselineKeepingASHA(
            time_attr="epoch", max_t=81, grace_period=1, reduction_factor=3, brackets=3, seed=seed
        )
        return [scheduler._brackets.index(scheduler._bracket(number)) for number in range(60)]

    assert brackets(1) == brackets(1)
    assert brackets(1) != brackets(2)
    assert set(brackets(1)) == {0, 1, 2}
