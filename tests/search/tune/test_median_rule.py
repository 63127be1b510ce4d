from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search.tune.median_rule import MedianRule


def report(rule: MedianRule, number: int, accuracy: float, epochs: range) -> str:
    trial: Any = SimpleNamespace(config={"trial_number": number})
    curve = [{"epoch": epoch, "val_accuracy": accuracy} for epoch in epochs]
    return rule.on_trial_result(None, trial, {"epoch": epochs[-1], "curve": curve})


def test_trials_below_the_median_stop_after_the_grace_period() -> None:
    rule = MedianRule(grace_period=3, milestones=range(3, 9))
    for number in (1, 2, 3):
        assert report(rule, number, 0.4 + number / 10, range(1, 6)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.1, range(1, 3)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.1, range(3, 5)) == TrialScheduler.STOP
    assert report(rule, 5, 0.65, range(1, 5)) == TrialScheduler.CONTINUE
    assert report(rule, 0, 0.1, range(1, 5)) == TrialScheduler.CONTINUE


def test_scores_of_an_earlier_session_count() -> None:
    rule = MedianRule(grace_period=1, milestones=range(1, 9))
    rule.replay([(number, {1: 0.5, 2: 0.6}) for number in (1, 2, 3)])
    assert report(rule, 4, 0.2, range(1, 3)) == TrialScheduler.STOP


def test_decisions_are_made_only_at_milestones() -> None:
    rule = MedianRule(grace_period=1, milestones=(1, 4))
    rule.replay([(number, dict.fromkeys(range(1, 5), 0.5)) for number in (1, 2, 3)])
    assert report(rule, 4, 0.2, range(1, 4)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.2, range(4, 5)) == TrialScheduler.STOP
