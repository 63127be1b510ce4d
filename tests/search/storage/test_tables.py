"""The tables of a run, for studies written without a search."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.trial import TrialState

from search.storage.columns import HISTORY_COLUMNS, TRIAL_COLUMNS
from search.storage.run_folder import RunFolder
from search.storage.tables import history_table, trials_table, write_tables


def test_tables_of_a_study_without_trials() -> None:
    assert trials_table([]).columns.tolist() == list(TRIAL_COLUMNS)
    assert history_table([]).columns.tolist() == list(HISTORY_COLUMNS)


def test_a_failed_trial_keeps_its_epochs_but_has_no_score() -> None:
    study = optuna.create_study()
    trial = study.ask()
    attributes = {"trial_id": "a", "epochs": 2, "best_epoch": 2, "val_accuracy": 0.5, "error": "too wide"}
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, state=TrialState.FAIL)
    (row,) = trials_table(study.trials).to_dict("records")
    assert (row["status"], row["epochs"], row["error"]) == ("FAIL", 2, "too wide")
    assert row["best_epoch"] != row["best_epoch"]
    assert row["val_accuracy"] != row["val_accuracy"]


def test_trials_without_a_name_are_not_written(tmp_path: Path) -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 1.0})
    study.ask().set_user_attr("trial_id", "a")
    study.ask()
    run = RunFolder.at(tmp_path, "run")
    write_tables(run, study)
    assert run.trials()["trial_id"].tolist() == ["a"]
    assert len(run.history()) == 0
