from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search.storage.rungs import Rungs
from search.storage.study import Curve
from search.tune.median_rule import MedianRule


def report(rule: MedianRule, number: int, score: float, epochs: range, horizon: int = 10) -> str:
    trial: Any = SimpleNamespace(config={"trial_number": number, "epochs": horizon})
    curve = [{"epoch": epoch, "score": score} for epoch in epochs]
    return rule.on_trial_result(None, trial, {"epoch": epochs[-1], "curve": curve})


def curves(score: float, epochs: range, horizon: int = 10) -> list[Curve]:
    return [Curve(number, horizon, dict.fromkeys(epochs, score), is_finished=True) for number in (1, 2, 3)]


def test_trials_below_the_median_stop_after_the_grace_period() -> None:
    rule = MedianRule(Rungs(tuple(range(3, 9)), "epochs"))
    for number in (1, 2, 3):
        assert report(rule, number, 0.4 + number / 10, range(1, 6)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.1, range(1, 3)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.1, range(3, 5)) == TrialScheduler.STOP
    assert report(rule, 5, 0.65, range(1, 5)) == TrialScheduler.CONTINUE
    assert report(rule, 0, 0.1, range(1, 5)) == TrialScheduler.CONTINUE


def test_trials_are_compared_at_equal_shares_of_their_epochs() -> None:
    rule = MedianRule(Rungs((0.2, 0.6)))
    # The others of 10 epochs scored 0.5 until epoch 6, and 0.9 in the rest.
    for curve in curves(0.5, range(1, 7)):
        rule.replay([Curve(curve.number, 10, {**curve.scores, 7: 0.9, 8: 0.9}, is_finished=True)])
    assert report(rule, 4, 0.6, range(1, 61), horizon=100) == TrialScheduler.CONTINUE
    assert report(rule, 5, 0.4, range(1, 61), horizon=100) == TrialScheduler.STOP
    assert report(rule, 6, 0.4, range(1, 60), horizon=100) == TrialScheduler.CONTINUE


def test_scores_of_an_earlier_session_count() -> None:
    rule = MedianRule(Rungs((0.1, 0.2, 0.3)))
    rule.replay(curves(0.6, range(1, 3)))
    assert report(rule, 4, 0.2, range(1, 3)) == TrialScheduler.STOP


def test_a_failed_trial_has_no_score() -> None:
    rule = MedianRule(Rungs((0.1, 0.2)))
    rule.replay(curves(0.6, range(1, 3)))
    failed: Any = SimpleNamespace(config={"trial_number": 3, "epochs": 10})
    rule.on_trial_complete(None, failed, {"epoch": 2, "outcome": "FAIL"})
    assert report(rule, 4, 0.2, range(1, 3)) == TrialScheduler.CONTINUE


def test_decisions_are_made_only_at_rungs() -> None:
    rule = MedianRule(Rungs((1, 4), "epochs"))
    rule.replay(curves(0.5, range(1, 5)))
    assert report(rule, 4, 0.2, range(1, 4)) == TrialScheduler.CONTINUE
    assert report(rule, 4, 0.2, range(4, 5)) == TrialScheduler.STOP
