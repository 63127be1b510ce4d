from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import TrialScheduler

from search.storage.rungs import Rungs
from search.storage.study import Curve
from search.tune.asha import BaselineKeepingASHA

RUNGS = Rungs((0.1, 0.2, 0.4))


def asha(rungs: Rungs = RUNGS, **options: Any) -> BaselineKeepingASHA:
    scheduler = BaselineKeepingASHA(rungs=rungs, reduction_factor=2, **options)
    scheduler.set_search_properties("score", "max")
    return scheduler


def trial(number: int, epochs: int = 20) -> Any:
    return SimpleNamespace(trial_id=f"t{number}", config={"trial_number": number, "epochs": epochs})


def report(
    scheduler: BaselineKeepingASHA, number: int, score: float, epoch: int = 2, epochs: int = 20
) -> str:
    if str(number) not in scheduler._trial_info:
        scheduler.on_trial_add(None, trial(number, epochs))
    return scheduler.on_trial_result(None, trial(number, epochs), {"epoch": epoch, "score": score})


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


def test_trials_are_compared_at_equal_shares_of_their_epochs() -> None:
    scheduler = asha()
    report(scheduler, 1, 0.7, epoch=10, epochs=100)
    # Epoch 5 of 100 is before the first rung; epoch 2 of 20 is at it.
    assert report(scheduler, 2, 0.1, epoch=5, epochs=100) == TrialScheduler.CONTINUE
    assert report(scheduler, 3, 0.1, epoch=2, epochs=20) == TrialScheduler.STOP


def test_a_trial_is_not_stopped_after_the_last_rung() -> None:
    scheduler = asha()
    for epoch in (2, 4, 8):
        report(scheduler, 1, 0.5, epoch)
        report(scheduler, 2, 0.9, epoch)
    assert report(scheduler, 1, 0.5, 19) == TrialScheduler.CONTINUE
    assert report(scheduler, 2, 0.9, 20) == TrialScheduler.CONTINUE


@pytest.mark.parametrize("outcome", ["FAIL", "OOM"])
def test_a_failed_trial_records_no_score(outcome: str) -> None:
    scheduler = asha()
    scheduler.on_trial_add(None, trial(1))
    scheduler.on_trial_complete(None, trial(1), {"epoch": 3, "score": 0.0, "outcome": outcome})
    assert not any(recorded for _, recorded in scheduler._brackets[0]._rungs)


@pytest.mark.parametrize("rungs", [RUNGS, Rungs((2, 4, 8), "epochs"), Rungs((0.1, 0.2, 0.4), min_epochs=3)])
def test_rungs_are_rebuilt_from_the_reported_scores(rungs: Rungs) -> None:
    original, rebuilt = (asha(rungs, brackets=3, seed=5) for _ in range(2))
    curves = []
    for number in range(12):
        scores = {epoch: ((7 * number + 3 * epoch) % 11) / 11 for epoch in range(1, 2 + number)}
        curves.append(Curve(number, 20, scores, is_finished=True))
        for epoch in sorted(rungs.of(20)):
            if epoch in scores:
                best = max(score for scored, score in scores.items() if scored <= epoch)
                report(original, number, best, epoch)
    rebuilt.replay(curves)
    assert [bracket._rungs for bracket in rebuilt._brackets] == [
        bracket._rungs for bracket in original._brackets
    ]
    assert sum(bool(recorded) for bracket in rebuilt._brackets for _, recorded in bracket._rungs) > 3
    assert report(rebuilt, 20, -1.0, 4) == report(original, 20, -1.0, 4)


def test_a_decision_that_a_killed_session_did_not_record_is_made_again() -> None:
    scheduler = asha()
    strong = [Curve(number, 20, {1: 0.5, 2: 0.8, 3: 0.8}, is_finished=True) for number in (1, 2, 3)]
    weak = Curve(4, 20, {1: 0.1, 2: 0.1}, is_finished=False)
    passed = Curve(5, 20, {1: 0.1, 2: 0.1, 3: 0.2}, is_finished=False)
    scheduler.replay([*strong, weak, passed])
    assert report(scheduler, 4, 0.1, 2) == TrialScheduler.STOP
    assert report(scheduler, 5, 0.2, 3) == TrialScheduler.CONTINUE


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("first", [0.05, 1 / 9, 0.16, 2 / 9, 0.25, 2 / 3])
def test_ray_decides_at_the_rungs(first: float, factor: int) -> None:
    values = [first]
    while values[-1] * factor <= 2 / 3 + 1e-9:
        values.append(values[-1] * factor)
    scheduler = BaselineKeepingASHA(
        rungs=Rungs(tuple(values)), reduction_factor=factor, brackets=len(values) + 1
    )
    for skipped, bracket in enumerate(scheduler._brackets):
        milestones = [milestone for milestone, _ in reversed(bracket._rungs)]
        np.testing.assert_allclose(milestones, values[skipped:])


def test_brackets_depend_only_on_number_and_seed() -> None:
    def brackets(seed: int) -> list[int]:
        scheduler = asha(brackets=3, seed=seed)
        return [scheduler._brackets.index(scheduler._bracket(number)) for number in range(60)]

    assert brackets(1) == brackets(1)
    assert brackets(1) != brackets(2)
    assert set(brackets(1)) == {0, 1, 2}
