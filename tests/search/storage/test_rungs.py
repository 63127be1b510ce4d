from __future__ import annotations

import pytest

from search.storage.rungs import Rungs, make_rungs, rungs_of_format_1


def test_trials_of_any_horizon_are_judged_at_the_same_share() -> None:
    rungs = Rungs((0.25, 0.5))
    assert rungs.of(100) == {25: 0.25, 50: 0.5}
    assert rungs.of(30) == {8: 0.25, 15: 0.5}
    assert (rungs.reached(7, 30), rungs.reached(8, 30), rungs.reached(29, 30)) == (0.0, 0.25, 0.5)


def test_no_trial_is_judged_before_the_minimum_of_epochs_or_after_two_thirds() -> None:
    rungs = Rungs((0.25, 0.5), min_epochs=10)
    assert rungs.of(60) == {15: 0.25, 30: 0.5}
    assert rungs.of(30) == {10: 0.25, 15: 0.5}
    assert rungs.of(20) == {10: 0.5}
    assert rungs.of(13) == {}
    assert Rungs((0.25,)).of(1) == {}


@pytest.mark.parametrize(
    ("scheduler", "options", "expected"),
    [
        ("asha", {}, Rungs((0.25,), min_epochs=5)),
        ("asha", {"reduction_factor": 2}, Rungs((0.25, 0.5), min_epochs=5)),
        ("asha", {"grace_period": 0.05}, Rungs((0.05, 0.05 * 3, 0.05 * 3 * 3))),
        ("hyperband", {"reduction_factor": 2}, Rungs((0.25, 0.5), min_epochs=5)),
        ("none", {}, Rungs()),
    ],
)
def test_rungs_of_the_schedulers(scheduler: str, options: dict[str, float], expected: Rungs) -> None:
    defaults = {"grace_period": None, "reduction_factor": 3, "min_epochs": 5}
    assert make_rungs(scheduler, **{**defaults, **options}) == expected  # type: ignore[arg-type]


def test_the_median_rule_decides_ten_times_up_to_two_thirds() -> None:
    rungs = make_rungs("median", grace_period=None, reduction_factor=3, min_epochs=1)
    assert (len(rungs.values), rungs.values[0]) == (10, 0.25)
    assert rungs.values[-1] == pytest.approx(2 / 3)
    assert max(rungs.of(90)) == 60


@pytest.mark.parametrize(
    ("scheduler", "grace_period", "epochs"),
    [
        ("asha", None, (25, 75)),
        ("asha", 4, (4, 12, 36)),
        ("hyperband", None, (11, 33, 99)),
        ("none", None, ()),
    ],
)
def test_runs_of_format_1_keep_rungs_in_epochs(
    scheduler: str, grace_period: int | None, epochs: tuple[int, ...]
) -> None:
    rungs = rungs_of_format_1(scheduler, max_epochs=100, grace_period=grace_period, reduction_factor=3)
    assert rungs == Rungs(epochs, "epochs")
    assert rungs.of(30) == {epoch: epoch for epoch in epochs if epoch < 30}
