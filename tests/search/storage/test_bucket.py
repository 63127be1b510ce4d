"""A search with its cache and runs in a bucket, from the first trial to the export."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.errors import SettingsError
from data.io.folder import Folder
from results import export, leaderboard
from search.plan import make_plan
from search.settings import SearchSettings
from search.storage import journal_mirror
from search.storage.journal_mirror import JournalMirror, fetch_journal, working_folder
from search.storage.run_folder import JOURNAL, RunFolder
from search.storage.study import open_study
from tests.support.paths import ROOT
from tests.support.softmax import Softmax
from tests.support.waiting import running, wait_until

pytestmark = pytest.mark.slow

TRIALS = 12


def copy(source: Path, target: str) -> str:
    """Copy a cache to the bucket."""
    for path in source.iterdir():
        if path.is_file():
            Folder.at(target).write(path.name, path.read_bytes())
    return target


def test_a_search_is_interrupted_and_resumed_on_another_machine(
    bucket: str, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    runs, cache = f"{bucket}/runs", copy(small_cache, f"{bucket}/cache")
    run = RunFolder.at(runs, "remote")
    command = [sys.executable, "-m", "tests.support.softmax", "--runs", runs]
    options = ["--family", "softmax", "--cache", cache, "--name", "remote", "--max-epochs", "40"]
    options += ["--trials", str(TRIALS), "--folds", "2", "--scheduler", "none", "--max-concurrent", "1"]
    with running(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, "GENRE_SEARCH_SCRATCH": str(tmp_path / "first"), "EPOCH_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: run.folder.exists("trials.parquet"), what="a trial", alive=process, every=0.1)
        assert run.folder.exists(JOURNAL)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    assert f"Resume with: python -m search.run --resume remote --runs {runs}" in output
    before = run.trials().set_index("trial_id")
    kept = before[before["status"] == "COMPLETE"]
    assert 0 < len(kept) < TRIALS

    result = subprocess.run(
        [*command, "--resume", "remote"],
        cwd=ROOT,
        env={**os.environ, "GENRE_SEARCH_SCRATCH": str(tmp_path / "second")},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    assert "existing study" not in result.stderr
    after = run.trials().set_index("trial_id")
    assert len(after) == TRIALS
    assert (after["status"] == "COMPLETE").all()
    assert after.loc[kept.index, "val_accuracy"].equals(kept["val_accuracy"])
    assert run.info().status == "finished"
    assert not (run.folder / "checkpoints").names()
    # A bucket may keep the name of the empty checkpoint folder.
    assert set(run.folder.names()) - {"checkpoints"} == {
        "history.parquet",
        "predictions",
        "run.json",
        "splits.parquet",
        JOURNAL,
        "trials.parquet",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "laptop"))
        assert len(open_study(run).trials) == TRIALS
        shown = CliRunner().invoke(leaderboard.main, ["--runs", runs])
        assert shown.exit_code == 0, shown.output
        assert "remote" in shown.output
        out = tmp_path / "export"
        exported = CliRunner().invoke(export.main, ["remote", "--runs", runs, "--out", str(out)])
        assert exported.exit_code == 0, exported.output
        assert (out / "model.keras").exists()


def test_the_newer_journal_is_kept(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path))
    run = RunFolder.at(f"{bucket}/runs", "journal")
    fetch_journal(run)
    path = working_folder(run) / JOURNAL
    assert not path.exists()
    path.parent.mkdir(parents=True)
    mirror = JournalMirror(run)
    mirror.send()
    assert not run.folder.exists(JOURNAL)
    for written, uploaded in ((b"1\n2\n3", b"1\n2\n"), (b"1\n2\n3\n4\n", b"1\n2\n3\n4\n")):
        path.write_bytes(written)
        mirror.send()
        assert run.folder.read(JOURNAL) == uploaded
        # Lines that a killed search wrote only locally are kept.
        fetch_journal(run)
        assert path.read_bytes() == written
    run.folder.write(JOURNAL, b"1\n2\n3\n4\n5\n")
    fetch_journal(run)
    assert path.read_bytes() == b"1\n2\n3\n4\n5\n"


def test_uploads_are_rare_and_survive_a_failing_bucket(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path))
    run = RunFolder.at("s3://no-such-bucket/runs", "journal")
    path = working_folder(run) / JOURNAL
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1\n")
    mirror = JournalMirror(run)
    mirror.send_sometimes()
    with pytest.raises(OSError, match="no-such-bucket"):
        mirror.send()

    run = RunFolder.at(f"{bucket}/runs", "bounded")
    path = working_folder(run) / JOURNAL
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(journal_mirror, "_MIRROR_SECONDS", 3600.0)
    mirror = JournalMirror(run)
    for line in (b"1\n", b"1\n2\n"):
        path.write_bytes(line)
        mirror.send_sometimes()
    assert run.folder.read(JOURNAL) == b"1\n"


def test_tensorboard_is_refused_for_runs_in_a_bucket(bucket: str, small_cache: Path) -> None:
    settings = {"family": "features_mlp", "cache": str(small_cache), "runs": f"{bucket}/runs"}
    with pytest.raises(SettingsError, match=f"--tensorboard cannot be used with --runs {bucket}/runs"):
        make_plan(SearchSettings.checked(**settings, tensorboard=True))
