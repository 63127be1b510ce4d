from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from data.errors import RunError
from search.sampling.samplers import make_sampler
from search.storage.lock import claimed, refuse_existing
from search.storage.run_folder import RunFolder
from search.storage.study import create_study, open_study, repair_journal
from tests.support.mounts import read_only, run_with_mounts


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.at(tmp_path / "runs", "night")


def test_only_one_process_searches_in_a_run(run: RunFolder) -> None:
    with claimed(run, new=True):
        run.folder.write("run.json", b"{}")
        with pytest.raises(RunError, match="exists already"), claimed(run, new=True):
            pass
        with pytest.raises(RunError, match="another process is searching in"), claimed(run, new=False):
            pass
    with claimed(run, new=False):
        pass
    with pytest.raises(RunError, match=r"continue it with --resume night .* --extend night"):
        refuse_existing(run)


def test_a_search_that_never_started_frees_its_name(run: RunFolder) -> None:
    with pytest.raises(RunError, match="the disk is full"), claimed(run, new=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    refuse_existing(run)


def test_a_folder_that_cannot_be_created(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="cannot be created"), claimed(run, new=True):
        pass


def test_a_run_on_a_read_only_disk(run: RunFolder) -> None:
    with claimed(run, new=True):
        run.folder.write("run.json", b"{}")
    program = (
        "import sys\nfrom search.storage.lock import claimed\n"
        "from search.storage.run_folder import RunFolder\n"
        "with claimed(RunFolder.at(sys.argv[1], 'night'), new=False): pass\n"
    )
    command = [sys.executable, "-c", program, str(run.folder.local.parent)]
    result = run_with_mounts(read_only(run.folder.local), command)
    assert result.stderr.splitlines()[-1].startswith(
        f"data.errors.RunError: {run.folder.uri}: this run cannot be written (Read-only file system);"
    )


def test_complete_lines_of_a_journal_are_kept(run: RunFolder) -> None:
    study = create_study(run, make_sampler("random", seed=0))
    for number in range(3):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, number)
    path = run.folder.local / "study.journal"
    complete = path.read_bytes()
    path.write_bytes(complete[:-7])
    (run.folder.local / "study.journal.lock").symlink_to(path)
    repair_journal(run)
    assert [trial.state.name for trial in open_study(run).trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    create_study(run, make_sampler("random", seed=0)).tell(2, 1.0)
    assert open_study(run).trials[2].value == 1.0
    path.write_bytes(complete[:40] + b"\n" + complete[41:])
    with pytest.raises(RunError, match="line 1 is incomplete; was the file changed"):
        repair_journal(run)


def test_a_run_without_a_study(run: RunFolder) -> None:
    with pytest.raises(RunError, match=r"study\.journal is missing"):
        open_study(run)
    run.folder.write("study.journal", b"")
    with pytest.raises(RunError, match="it contains no complete study"):
        open_study(run)
