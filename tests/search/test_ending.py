from __future__ import annotations

import optuna
import pytest

from search.ending import TARGET, Ending


@pytest.mark.parametrize(("outcome", "ends"), [("RUNNING", True), ("COMPLETE", True), ("FAIL", False)])
def test_a_target_is_reached_by_trials_that_have_a_score(outcome: str, ends: bool) -> None:
    ending = Ending(optuna.create_study(), target=0.7, stagnation=None)
    assert not ending("a", {"outcome": outcome, "val_accuracy": 0.69, "done": False})
    assert not ending.stop_all()
    # A trial that failed had reached the target before.
    assert not ending("a", {"outcome": outcome, "val_accuracy": 0.71, "done": True})
    assert ending.stop_all() is ends
    assert ending.reason == (TARGET if ends else None)
