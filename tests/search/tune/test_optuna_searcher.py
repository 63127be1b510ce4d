from __future__ import annotations

import errno
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

import spaces
from search.sampling.samplers import make_sampler
from search.storage.columns import EPOCH_METRICS
from search.storage.journal_backend import Journal, JournalFile
from search.storage.tables import history_table, trials_table
from search.tune.optuna_searcher import TruthfulOptunaSearch

FAMILY = spaces.get("features_mlp")


@pytest.fixture
def searcher(tmp_path: Path) -> TruthfulOptunaSearch:
    return TruthfulOptunaSearch(
        space=partial(FAMILY.space, max_epochs=50),
        metric="score",
        mode="max",
        points_to_evaluate=[FAMILY.baseline(50)],
        sampler=make_sampler("tpe", seed=0),
        storage=Journal(tmp_path / "study.journal"),
        study_name="test",
    )


def result(epochs: list[int], accuracy: float, outcome: str = "RUNNING", error: str = "") -> dict[str, Any]:
    row = {name: 0.4 for name in EPOCH_METRICS if name != "val_accuracy"}
    return {
        "epoch": epochs[-1] if epochs else 0,
        "best_epoch": epochs[-1] if epochs else 0,
        "val_accuracy": accuracy,
        "score": accuracy,
        **row,
        "params": 100,
        "seconds": 1.5,
        "precision": "float32",
        "curve": [
            {"epoch": epoch, "val_accuracy": score, "score": score, **row}
            for epoch in epochs
            for score in (accuracy - 0.01 * epoch,)
        ],
        "outcome": outcome,
        "error": error,
        "hostname": "node-7",
    }


def test_the_first_suggestion_is_the_baseline_with_number_0(searcher: TruthfulOptunaSearch) -> None:
    first, second = searcher.suggest("a"), searcher.suggest("b")
    assert first == {**FAMILY.baseline(50), "trial_number": 0, "trial_id": "a"}
    assert second is not None
    assert second["trial_number"] == 1


def test_trials_are_recorded_with_their_true_states(searcher: TruthfulOptunaSearch) -> None:
    for name in "abcde":
        searcher.suggest(name)
    searcher.on_trial_complete("a", result([1, 2], 0.7, "COMPLETE"))
    searcher.on_trial_result("b", result([1], 0.5))
    searcher.on_trial_complete("b", result([2, 3], 0.6))
    searcher.on_trial_complete("c", result([], 0.0, "FAIL", "Traceback: too wide"))
    searcher.on_trial_complete("d", error=True)
    a, b, c, d, e = searcher.study.trials
    assert (a.state, a.value, a.user_attrs["node"]) == (TrialState.COMPLETE, 0.7, "node-7")
    assert b.state == TrialState.PRUNED
    assert b.intermediate_values == {1: 0.49, 2: 0.58, 3: pytest.approx(0.57)}
    assert (c.state, d.state, e.state) == (TrialState.FAIL, TrialState.FAIL, TrialState.RUNNING)
    assert "worker process died" in d.user_attrs["error"]


@pytest.mark.parametrize("outcome", ["DISK_FULL", "UNREACHABLE"])
def test_a_storage_failure_leaves_all_trials_unfinished(searcher: TruthfulOptunaSearch, outcome: str) -> None:
    for name in "ab":
        searcher.suggest(name)
    searcher.on_trial_result("b", result([1], 0.4))
    searcher.on_trial_complete("a", result([], 0.0, outcome, "no space"))
    # Tune stops the remaining trials because the search stops.
    searcher.on_trial_complete("b", result([1], 0.4))
    assert [trial.state for trial in searcher.study.trials] == [TrialState.RUNNING] * 2


def test_a_journal_that_cannot_be_written_fails_no_trial(
    searcher: TruthfulOptunaSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        searcher.suggest(name)
    written = (tmp_path / "study.journal").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JournalFile, "_write", full)
        searcher.on_trial_complete("a", result([1], 0.7, "COMPLETE"))
    assert searcher.failure is not None
    assert searcher.failure.errno == errno.ENOSPC
    # Nothing more is recorded: the search stops, and is resumed from the file.
    searcher.on_trial_result("b", result([1], 0.5))
    searcher.on_trial_complete("b", result([2], 0.5, "COMPLETE"))
    # With None, Tune would ask again for ten minutes.
    assert searcher.suggest("c") == Searcher.FINISHED
    assert (tmp_path / "study.journal").read_bytes() == written


def test_a_trial_interrupted_by_the_end_of_the_search_is_pruned_with_its_score(
    searcher: TruthfulOptunaSearch,
) -> None:
    for name in "abc":
        searcher.suggest(name)
    searcher.on_trial_result("a", result([1, 2], 0.7))
    searcher.on_trial_result("b", result([1], 0.4))
    searcher.on_trial_complete("b", result([2], 0.5, "COMPLETE"))
    searcher.settle()
    a, b, c = searcher.study.trials
    assert (a.state, b.state, c.state) == (TrialState.PRUNED, TrialState.COMPLETE, TrialState.RUNNING)
    assert (a.user_attrs["val_accuracy"], a.user_attrs["epochs"], a.user_attrs["seconds"]) == (0.7, 2, 1.5)
    assert b.value == 0.5
    assert set(a.intermediate_values) == {1, 2}


def test_epochs_reported_twice_count_once(searcher: TruthfulOptunaSearch) -> None:
    searcher.suggest("a")
    searcher.on_trial_result("a", result([1, 2], 0.5))
    # The worker died and resumed from the checkpoint after epoch 1.
    searcher.on_trial_result("a", result([2, 3], 0.5))
    searcher.on_trial_complete("a", result([3], 0.5, "COMPLETE"))
    searcher.on_trial_complete("a", result([3], 0.9, "COMPLETE"))
    (trial,) = searcher.study.trials
    assert trial.user_attrs["epochs"] == 3
    assert trial.value == 0.5


def test_tables_match_the_study(searcher: TruthfulOptunaSearch) -> None:
    for name in "abcd":
        searcher.suggest(name)
    searcher.on_trial_complete("a", result([1, 2], 0.7, "COMPLETE"))
    searcher.on_trial_complete("b", result([], 0.0, "OOM", "MemoryError"))
    searcher.on_trial_complete("c", result([], 0.0, "FAIL", "Traceback: too wide"))
    searcher.on_trial_result("d", result([1], 0.5))
    trials = trials_table(searcher.study.trials)
    assert trials["trial_id"].tolist() == list("abcd")
    assert trials["status"].tolist() == ["COMPLETE", "OOM", "FAIL", "RUNNING"]
    assert trials["epochs"].tolist() == [2, 0, 0, 1]
    assert trials["val_accuracy"].isna().tolist() == [False, True, True, True]
    assert trials["error"].tolist()[1:3] == ["MemoryError", "Traceback: too wide"]
    assert trials["config.units_1"].iloc[0] == 58
    history = history_table(searcher.study.trials)
    assert history[["trial_id", "epoch"]].to_numpy().tolist() == [["a", 1], ["a", 2]]


def test_records_are_in_the_journal_immediately(searcher: TruthfulOptunaSearch, tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    for name in "ab":
        searcher.suggest(name)
    searcher.on_trial_result("a", result([1, 2], 0.7))
    searcher.on_trial_complete("a", result([3], 0.7, "COMPLETE"))
    # A reader that opens the study now sees what the search knows.
    reopened = optuna.load_study(study_name="test", storage=JournalStorage(JournalFileBackend(str(path))))
    assert [trial.params for trial in reopened.trials] == [trial.params for trial in searcher.study.trials]
    assert [trial.user_attrs for trial in reopened.trials] == [
        trial.user_attrs for trial in searcher.study.trials
    ]
    assert [trial.state for trial in reopened.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert not path.with_name("study.journal.lock").exists()


def test_a_trial_that_reaches_the_target_is_complete(tmp_path: Path) -> None:
    searcher = TruthfulOptunaSearch(
        space=partial(FAMILY.space, max_epochs=50),
        metric="score",
        mode="max",
        sampler=make_sampler("random", seed=0),
        storage=Journal(tmp_path / "study.journal"),
        study_name="test",
        target=0.7,
    )
    for name in "abc":
        searcher.suggest(name)
    searcher.on_trial_complete("a", result([1, 2], 0.7))
    searcher.on_trial_complete("b", result([1, 2], 0.69))
    searcher.on_trial_complete("c", result([1, 2], 0.9, "FAIL", "Traceback: gone"))
    states = [trial.state for trial in searcher.study.trials]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert searcher.study.best_value == 0.7
