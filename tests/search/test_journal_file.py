from __future__ import annotations

import copy
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search import journal_file as module
from search.journal_file import JournalFile


def test_optunas_own_backend_reads_and_continues_it(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    ours = optuna.create_study(storage=JournalStorage(JournalFile(path)), study_name="s")
    ours.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    theirs = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    assert [trial.params for trial in theirs.trials] == [trial.params for trial in ours.trials]
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(ours.trials) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_the_disk_is_not_waited_for_at_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(module.os, "fsync", waited.append)
    backend = JournalFile(tmp_path / "study.journal")
    for number in range(100):
        backend.append_logs([{"op_code": number}])
    assert 1 <= len(waited) < 50
    # What was written can be read, by others too, at once.
    other = copy.deepcopy(backend)
    assert [log["op_code"] for log in other.read_logs(0)] == list(range(100))


def test_what_cannot_be_written_whole_leaves_nothing_and_lets_the_lock_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = JournalFile(tmp_path / "study.journal")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        # By then the line is in the file.
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            backend.append_logs([{"op_code": 0}])
    backend.append_logs([{"op_code": 1}])
    assert [log["op_code"] for log in backend.read_logs(0)] == [1]
