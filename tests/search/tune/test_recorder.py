from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError

from search.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from search.storage.run_folder import RunFolder
from search.storage.tables import trials_table
from search.tune import recorder as recorder_module
from search.tune.recorder import Recorder

KILLED = OutOfMemoryError(
    "Task was killed due to the node running low on memory.\nMemory on the node was 22.1GB / 23.3GB (0.95)."
)


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study()
    study.ask().set_user_attr("trial_id", "a")
    return study


def trial(folder: Path, error: Exception) -> Any:
    """Return a trial as Tune passes it to callbacks after a failure, with the error in a file."""
    file = folder / "error.txt"
    file.write_text(f"Failure # 1 (occurred at 2026-01-01_00-00-00)\n{error}\n")
    return SimpleNamespace(config={"trial_number": 0}, error_file=str(file))


def recorder_of(study: optuna.Study, folder: Path, failure: OSError | None = None) -> Recorder:
    searcher: Any = SimpleNamespace(study=study, failure=failure)
    return Recorder(RunFolder.at(folder, "run"), searcher)


@pytest.mark.parametrize(("failure", "kept"), [(None, False), (OSError("the disk is gone"), True)])
def test_a_trial_whose_end_was_not_recorded_keeps_its_checkpoint(
    failure: OSError | None, kept: bool, study: optuna.Study, tmp_path: Path
) -> None:
    recorder = recorder_of(study, tmp_path, failure)
    write_checkpoint(RunFolder.at(tmp_path, "run"), 0, Checkpoint({"epoch": 3}, {}))
    ended: Any = SimpleNamespace(config={"trial_number": 0}, last_result={"outcome": "COMPLETE"})
    recorder.on_trial_complete(1, [], ended)
    assert (read_checkpoint(RunFolder.at(tmp_path, "run"), 0) is not None) is kept


@pytest.mark.parametrize(("error", "status"), [(KILLED, "OOM"), (ActorDiedError(), "FAIL")])
def test_a_worker_killed_for_memory_is_out_of_memory(
    error: Exception, status: str, study: optuna.Study, tmp_path: Path
) -> None:
    recorder = recorder_of(study, tmp_path)
    recorder.on_trial_recover(1, [], trial(tmp_path, error))
    study.tell(0, state=optuna.trial.TrialState.FAIL)
    assert trials_table(study.trials)["status"].tolist() == [status]


def test_a_trial_that_completes_after_a_restart_is_not_out_of_memory(
    study: optuna.Study, tmp_path: Path
) -> None:
    recorder = recorder_of(study, tmp_path)
    recorder.on_trial_recover(1, [], trial(tmp_path, KILLED))
    restarted = optuna.trial.Trial(study, study.trials[0]._trial_id)
    # The outcome of its last report.
    restarted.set_user_attr("outcome", "COMPLETE")
    study.tell(0, 0.5)
    assert trials_table(study.trials)["status"].tolist() == ["COMPLETE"]


def test_a_restarted_trial_is_running(study: optuna.Study, tmp_path: Path) -> None:
    recorder_of(study, tmp_path).on_trial_recover(1, [], trial(tmp_path, KILLED))
    assert trials_table(study.trials)["status"].tolist() == ["RUNNING"]


def test_the_duration_of_a_killed_session_is_recorded(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes: list[tuple[str, float]] = []
    searcher: Any = SimpleNamespace(
        study=study, failure=None, set_study_attribute=lambda *attribute: attributes.append(attribute)
    )
    recorder = Recorder(RunFolder.at(tmp_path, "run"), searcher, seconds=100.0)
    recorder.on_step_end(1, [])
    recorder.on_step_end(2, [])
    monkeypatch.setattr(recorder_module, "_DURATION_SECONDS", 0.0)
    recorder.on_step_end(3, [])
    assert [name for name, _ in attributes] == ["seconds"] * 2
    assert 100.0 < attributes[0][1] < attributes[1][1] < 160.0
