from __future__ import annotations

import copy
import io
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.storage import journal_backend as module
from search.storage.journal_backend import Journal, JournalFile


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


def test_what_belongs_together_is_written_at_once_and_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    ours = optuna.create_study(storage=journal, study_name="s")
    theirs = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    theirs.ask()
    with journal.together():
        trial = ours.ask()
        trial.suggest_float("x", 0, 1)
        assert ours.trials[1].params == trial.params
        assert len(theirs.trials) == 1
        lock = path.with_name("study.journal.lock")
        assert lock.is_symlink()
    assert trial.number == 1
    assert theirs.trials[1].params == trial.params
    theirs.ask()
    assert len(ours.trials) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_begun_together_is_kept_when_the_rest_fails(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")

    def cut_short() -> None:
        with journal.together():
            study.ask()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_short()
    again = optuna.load_study(storage=Journal(path), study_name="s")
    assert len(again.trials) == len(study.trials) == 1


def test_what_cannot_be_written_together_is_not_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: 1e9)
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"), journal.together():
            study.ask()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_together_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")
    lines: list[bytes] = []

    class Watched(io.BytesIO):
        def __next__(self) -> bytes:
            lines.append(super().__next__())
            return lines[-1]

    def opened(file: str, mode: str) -> Watched:
        assert mode == "rb"
        return Watched(Path(file).read_bytes())

    monkeypatch.setattr(optuna.storages.journal._file, "open", opened, raising=False)
    read = []
    for _ in range(10):
        with journal.together():
            study.ask()
        read.append(len(lines))
    assert len(path.read_bytes().splitlines()) > 10
    assert read[9] - read[8] == read[2] - read[1] == 1
