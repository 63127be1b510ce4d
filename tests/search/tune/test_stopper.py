from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from data.dataset.scores import COLUMNS, Metric, merit
from search.tune.stopper import NO_INPUTS, NO_SPACE, NO_STORAGE, STAGNATION, TARGET, Ending


def make_ending(
    *,
    target: float | None,
    failure: OSError | None = None,
    recorded: tuple[float, ...] = (),
    metric: Metric = "accuracy",
    stagnation: int | None = None,
) -> Ending:
    study = optuna.create_study(direction="maximize")
    for value in recorded:
        trial = study.ask()
        trial.set_user_attr(COLUMNS[metric], value)
        trial.set_user_attr("best_epoch", 3)
        study.tell(trial, merit(value, metric))
    searcher: Any = SimpleNamespace(study=study, failure=failure)
    return Ending(searcher, target=target, stagnation=stagnation, metric=metric)


@pytest.mark.parametrize(("outcome", "ends"), [("RUNNING", True), ("COMPLETE", True), ("FAIL", False)])
def test_only_trials_with_a_score_reach_the_target(outcome: str, ends: bool) -> None:
    ending = make_ending(target=0.7)
    assert not ending("a", {"outcome": outcome, "val_accuracy": 0.69, "best_epoch": 2, "done": False})
    assert not ending.stop_all()
    # A failed trial may have reached the target before it failed.
    assert ending("a", {"outcome": outcome, "val_accuracy": 0.71, "best_epoch": 3, "done": True}) is ends
    assert ending.stop_all() is ends
    assert ending.reason == (TARGET if ends else None)


def test_a_full_scratch_folder_is_reported_with_its_message() -> None:
    ending = make_ending(target=None)
    traceback = (
        "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n\nThe above"
        " exception was the direct cause:\n\n"
        "data.errors.CacheError: /tmp/x: cannot be written (No space left on device)\n"
    )
    ending("a", {"outcome": "DISK_FULL", "val_accuracy": 0.0, "done": True, "error": traceback})
    assert (ending.reason, ending.details) == (
        NO_SPACE,
        "/tmp/x: cannot be written (No space left on device)",
    )
    assert ending.stop_all()


def test_an_unreachable_bucket_is_reported_with_its_message() -> None:
    ending = make_ending(target=None)
    traceback = (
        "Traceback (most recent call last):\nOSError: AWS Error\n\nThe above exception was the direct cause:"
        "\n\nsearch.tune.failures.StorageError: cannot be reached (AWS Error)\n"
    )
    ending("a", {"outcome": "UNREACHABLE", "val_accuracy": 0.0, "done": True, "error": traceback})
    assert (ending.reason, ending.details) == (NO_STORAGE, "cannot be reached (AWS Error)")


def test_changed_inputs_are_reported_with_their_message() -> None:
    ending = make_ending(target=None)
    error = "Traceback (most recent call last):\ndata.errors.InputsChangedError: cache: its data changed\n"
    ending("a", {"outcome": "INPUTS_CHANGED", "val_accuracy": 0.0, "done": True, "error": error})
    assert (ending.reason, ending.details) == (NO_INPUTS, "cache: its data changed")
    assert ending.stop_all()


@pytest.mark.parametrize(
    ("failure", "reason", "details"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), NO_SPACE, ""),
        (OSError(errno.EIO, "Input/output"), NO_STORAGE, "cannot be written ([Errno 5] Input/output)"),
    ],
)
def test_a_journal_that_cannot_be_written_stops_the_search(
    failure: OSError, reason: str, details: str
) -> None:
    ending = make_ending(target=None, failure=failure)
    assert ending.stop_all()
    assert (ending.reason, ending.details) == (reason, details)


@pytest.mark.parametrize(("best", "ends"), [(0.69, False), (0.7, True)])
def test_a_target_reached_before_a_kill_counts(best: float, ends: bool) -> None:
    ending = make_ending(target=0.7, recorded=(0.5, best))
    assert ending.stop_all() is ends
    assert ending.reason == (TARGET if ends else None)


def test_a_log_loss_reaches_its_target_from_above() -> None:
    ending = make_ending(target=merit(0.7, "log_loss"), metric="log_loss")
    # Before the first epoch, a trial reports zeros.
    for loss, epoch, ends in ((0.0, 0, False), (0.71, 1, False), (0.7, 2, True)):
        report = {"outcome": "RUNNING", "val_accuracy": 0.9, "val_loss": loss, "best_epoch": epoch}
        assert ending("a", {**report, "done": False}) is ends
    assert ending.reason == TARGET
    assert make_ending(target=merit(0.7, "log_loss"), metric="log_loss", recorded=(0.8,)).reason is None
    assert make_ending(target=merit(0.7, "log_loss"), metric="log_loss", recorded=(0.6,)).reason == TARGET


@pytest.mark.parametrize(("losses", "ends"), [((0.9, 0.8, 0.7, 0.6), False), ((0.5, 0.8, 0.7, 0.6), True)])
def test_stagnation_is_by_the_metric(losses: tuple[float, ...], ends: bool) -> None:
    ending = make_ending(target=None, metric="log_loss", stagnation=3, recorded=losses)
    ending("a", {"outcome": "COMPLETE", "val_loss": losses[-1], "best_epoch": 3, "done": True})
    assert ending.stop_all() is ends
    assert ending.reason == (STAGNATION if ends else None)
