from __future__ import annotations

import copy
import io
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.storage import journal_backend
from search.storage.journal_backend import Journal, JournalFile


def test_optunas_backend_reads_and_continues_the_file(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    ours = optuna.create_study(storage=JournalStorage(JournalFile(path)), study_name="s")
    ours.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    theirs = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    assert [trial.params for trial in theirs.trials] == [trial.params for trial in ours.trials]
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(ours.trials) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_fsync_is_not_called_for_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(journal_backend.os, "fsync", synced.append)
    backend = JournalFile(tmp_path / "study.journal")
    for number in range(100):
        backend.append_logs([{"op_code": number}])
    assert 1 <= len(synced) < 50
    # Another reader sees the lines immediately.
    reader = copy.deepcopy(backend)
    assert [log["op_code"] for log in reader.read_logs(0)] == list(range(100))


def test_a_failed_write_leaves_no_line_and_releases_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = JournalFile(tmp_path / "study.journal")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        # The line is already in the file at this point.
        patch.setattr(journal_backend.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            backend.append_logs([{"op_code": 0}])
    backend.append_logs([{"op_code": 1}])
    assert [log["op_code"] for log in backend.read_logs(0)] == [1]


def test_grouped_records_are_written_at_once_and_readable_inside(tmp_path: Path) -> None:
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


def test_grouped_records_are_kept_when_the_rest_fails(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")

    def interrupted_group() -> None:
        with journal.together():
            study.ask()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted_group()
    reopened = optuna.load_study(storage=Journal(path), study_name="s")
    assert len(reopened.trials) == len(study.trials) == 1


def test_grouped_records_that_cannot_be_written_are_not_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_backend.time, "monotonic", lambda: 1e9)
        patch.setattr(journal_backend.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"), journal.together():
            study.ask()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_grouped_records_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.journal"
    journal = Journal(path)
    study = optuna.create_study(storage=journal, study_name="s")
    lines: list[bytes] = []

    class WatchedFile(io.BytesIO):
        def __next__(self) -> bytes:
            lines.append(super().__next__())
            return lines[-1]

    def open_watched(file: str, mode: str) -> WatchedFile:
        assert mode == "rb"
        return WatchedFile(Path(file).read_bytes())

    monkeypatch.setattr(optuna.storages.journal._file, "open", open_watched, raising=False)
    line_counts = []
    for _ in range(10):
        with journal.together():
            study.ask()
        line_counts.append(len(lines))
    assert len(path.read_bytes().splitlines()) > 10
    assert line_counts[9] - line_counts[8] == line_counts[2] - line_counts[1] == 1
