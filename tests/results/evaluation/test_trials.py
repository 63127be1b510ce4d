from __future__ import annotations

import math
from pathlib import Path

import pytest

from data.errors import RunError
from results.evaluation.trials import find_trial, named_trial
from search.storage.columns import config_of
from search.storage.run_folder import RunFolder
from tests.support.runs import AVERAGED, EPOCHS, FAMILY, WIDE, write_scores


def test_configurations_keep_their_types(made_runs: Path) -> None:
    trial = find_trial(RunFolder.at(made_runs, "first"), "first_00001")
    expected = FAMILY.baseline(EPOCHS) | WIDE
    assert trial.config == expected
    assert {key: type(value) for key, value in trial.config.items()} == {
        key: type(value) for key, value in expected.items()
    }


def test_conditional_parameters_are_left_out(made_runs: Path) -> None:
    trial = find_trial(RunFolder.at(made_runs, "first"), "first_00002")
    expected = FAMILY.baseline(EPOCHS) | AVERAGED
    del expected["units_2"]
    assert trial.config == expected
    assert trial.status == "PRUNED"
    assert trial.best_epoch == EPOCHS - 1


def test_a_parameter_without_a_distribution_keeps_its_type() -> None:
    assert config_of({"config.x": 2.5, "config.y": math.nan, "status": "COMPLETE"}, {}) == {"x": 2.5}


def test_the_best_trial_is_the_default_and_ties_go_to_the_lower_loss(tmp_path: Path) -> None:
    run = write_scores(tmp_path, "r", [0.5, 0.8, 0.7])
    assert find_trial(run).trial_id == "t1"
    trials = run.trials()
    trials.loc[2, ["val_accuracy", "val_loss"]] = [0.8, 0.01]
    run.write_tables(trials, run.history())
    assert find_trial(run).trial_id == "t2"


def test_trials_are_named_by_run_and_number_or_id(made_runs: Path) -> None:
    assert named_trial("first:first_00001", str(made_runs)).trial_id == "first_00001"
    assert named_trial("first:1", str(made_runs)).trial_id == "first_00001"
    assert named_trial("first:first_00001", str(made_runs)).name == "first:1"
    assert named_trial("first:best", str(made_runs)) == named_trial("first", str(made_runs))
    for name in ("first:0", "first:baseline"):
        assert named_trial(name, str(made_runs)).trial_id == "first_00000"
    baseline = named_trial("first:BASELINE", str(made_runs))
    assert baseline.baseline
    assert baseline.trial_id == "first_00000"
    assert named_trial("first", str(made_runs)).trial_id == find_trial(baseline.run).trial_id


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere", "no run 'nowhere'"),
        ("frist", "no run 'frist' in .*; the nearest name is 'first'"),
        ("first:nothing", "no trial 'nothing'"),
        ("first:first_0002", "the nearest name is first:first_0000[02]; the trials are numbered 0 to 3"),
        ("first:bst", "no trial 'bst'; the nearest name is first:best;"),
        ("first:x", "no trial 'x'; the nearest name is first:best;"),
        ("first:4", "no trial '4'; the nearest name is first:3; the trials are numbered 0 to 3"),
        ("first:first_00003", "trial first:3 is FAIL, so it has no score"),
    ],
)
def test_a_missing_run_or_trial_is_reported(made_runs: Path, reference: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        named_trial(reference, str(made_runs))


def test_a_run_without_a_score_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trial has ended with a score"):
        find_trial(write_scores(tmp_path, "r", [None, None]))


@pytest.mark.parametrize(
    ("status", "reason"),
    [("finished", "the first failed by: ValueError: too wide"), ("running", "wait for the search")],
)
def test_the_message_explains_why_no_score_exists(status: str, reason: str, tmp_path: Path) -> None:
    run = write_scores(tmp_path, "r", [0.5, 0.8])
    run.write_info(run.info().model_copy(update={"status": status}))
    trials = run.trials()
    trials["status"], trials["val_accuracy"] = "FAIL", math.nan
    trials["error"] = "Traceback (most recent call last):\n  ...\nValueError: too wide\n"
    run.write_tables(trials, run.history())
    with pytest.raises(RunError, match=f"no trial has ended with a score; {reason}"):
        find_trial(run)
