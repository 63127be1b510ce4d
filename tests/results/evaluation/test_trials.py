from __future__ import annotations

import math
from pathlib import Path

import pytest

from data.errors import RunError
from results.evaluation.trials import config_of, find_trial, named_trial
from search.storage.run_folder import RunFolder
from tests.support.runs import AVERAGED, EPOCHS, FAMILY, WIDE, write_scores


def test_configurations_come_back_in_their_own_types(made_runs: Path) -> None:
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


def test_a_parameter_that_the_record_lacks_stays_as_it_is() -> None:
    assert config_of({"config.x": 2.5, "config.y": math.nan, "status": "COMPLETE"}, {}) == {"x": 2.5}


def test_the_best_is_the_default_and_ties_go_to_the_lower_loss(tmp_path: Path) -> None:
    run = write_scores(tmp_path, "r", [0.5, 0.8, 0.7])
    assert find_trial(run).trial_id == "t1"
    trials = run.trials()
    trials.loc[2, ["val_accuracy", "val_loss"]] = [0.8, 0.01]
    run.write_tables(trials, run.history())
    assert find_trial(run).trial_id == "t2"


def test_trials_are_named_by_run_and_id(made_runs: Path) -> None:
    assert named_trial("first:first_00001", str(made_runs)).trial_id == "first_00001"
    baseline = named_trial("first:BASELINE", str(made_runs))
    assert baseline.baseline
    assert baseline.trial_id == "first_00000"
    assert named_trial("first", str(made_runs)).trial_id == find_trial(baseline.run).trial_id


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nowhere", "no run 'nowhere'"),
        ("first:nothing", "no trial 'nothing'"),
        ("first:first_00003", "first_00003 is FAIL, so it has no score"),
    ],
)
def test_what_is_not_there_is_said(made_runs: Path, reference: str, said: str) -> None:
    with pytest.raises(RunError, match=said):
        named_trial(reference, str(made_runs))


def test_a_run_without_a_score_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trial of it has ended with a score"):
        find_trial(write_scores(tmp_path, "r", [None, None]))


@pytest.mark.parametrize(
    ("status", "said"),
    [("finished", "the first failed by: ValueError: too wide"), ("running", "let the search")],
)
def test_without_any_score_it_says_why(status: str, said: str, tmp_path: Path) -> None:
    run = write_scores(tmp_path, "r", [0.5, 0.8])
    run.write_info(run.info().model_copy(update={"status": status}))
    trials = run.trials()
    trials["status"], trials["val_accuracy"] = "FAIL", math.nan
    trials["error"] = "Traceback (most recent call last):\n  ...\nValueError: too wide\n"
    run.write_tables(trials, run.history())
    with pytest.raises(RunError, match=f"no trial of it has ended with a score; {said}"):
        find_trial(run)
