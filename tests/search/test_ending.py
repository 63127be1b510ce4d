from __future__ import annotations

import optuna
import pytest

from search.ending import NO_SPACE, TARGET, Ending


@pytest.mark.parametrize(("outcome", "ends"), [("RUNNING", True), ("COMPLETE", True), ("FAIL", False)])
def test_a_target_is_reached_by_trials_that_have_a_score(outcome: str, ends: bool) -> None:
    ending = Ending(optuna.create_study(), target=0.7, stagnation=None)
    assert not ending("a", {"outcome": outcome, "val_accuracy": 0.69, "done": False})
    assert not ending.stop_all()
    # A trial that failed had reached the target before.
    assert ending("a", {"outcome": outcome, "val_accuracy": 0.71, "done": True}) is ends
    assert ending.stop_all() is ends
    assert ending.reason == (TARGET if ends else None)


def test_a_full_scratch_folder_is_told_in_its_own_words() -> None:
    ending = Ending(optuna.create_study(), target=None, stagnation=None)
    traceback = (
        "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n\nThe above"
        " exception was the direct cause:\n\n"
        "data.errors.CacheError: /tmp/x: cannot be written (No space left on device)\n"
    )
    ending("a", {"outcome": "DISK_FULL", "val_accuracy": 0.0, "done": True, "error": traceback})
    assert (ending.reason, ending.told) == (NO_SPACE, "/tmp/x: cannot be written (No space left on device)")
    assert ending.stop_all()
