"""Searches that survive killed workers, a killed driver, bad configurations and storage failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from data.errors import RunError
from data.io.folder import Folder
from search import SearchSettings, driver, run_search
from search.api import resume_search
from search.run import main
from search.storage.checkpoint import read_checkpoint, write_checkpoint
from search.storage.run_folder import RunFolder
from search.storage.study import open_study
from tests.support.held import Lost
from tests.support.paths import ROOT
from tests.support.softmax import Softmax
from tests.support.waiting import running, wait_until

EPOCHS, HELD = 16, 6


def search(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def actors(folder: Path) -> list[int]:
    """Return the live processes that train trials of the searches in a folder."""
    pids = [int(path.name.partition("-")[2]) for path in folder.glob("actor-*")]
    return [pid for pid in pids if is_alive(pid)]


@pytest.mark.slow
def test_a_search_survives_killed_workers_and_a_killed_driver(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    run = RunFolder.at(tmp_path, "cut")

    def epoch(number: int) -> int:
        checkpoint = read_checkpoint(run, number)
        return checkpoint.progress["epoch"] if checkpoint else 0

    def hold(number: int, until: int) -> None:
        Folder.at(tmp_path).write(f"until-{number}", str(until).encode())

    options = ["--family", "softmax", "--cache", str(small_cache), "--runs", str(tmp_path)]
    options += ["--name", "cut", "--trials", "4", "--max-epochs", str(EPOCHS), "--folds", "2"]
    options += ["--searcher", "random", "--scheduler", "none", "--max-concurrent", "1", "--no-portfolio"]
    options += ["--set", f"epochs={EPOCHS}"]
    hold(1, until=HELD)
    hold(2, until=HELD)
    with running(
        [sys.executable, "-m", "tests.support.held", *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: epoch(1) == HELD, what="trial 1 was held", alive=process)
        # No other process may search in the run meanwhile.
        assert "exists already" in search(*options).stderr
        refused = search("--resume", "cut", "--runs", tmp_path)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert "another process is searching in" in refused.stderr

        killed = actors(tmp_path)
        assert killed
        for actor in killed:
            os.kill(actor, signal.SIGKILL)
        hold(1, until=2 * HELD)
        # The first checkpoint after the kill is from a later epoch: the trial resumed.
        resumed_epoch = wait_until(
            lambda: (reached := epoch(1)) != HELD and reached, what="another checkpoint", alive=process
        )
        assert resumed_epoch > HELD
        hold(1, until=EPOCHS)
        wait_until(lambda: epoch(2) >= 5, what="five epochs of trial 2", alive=process)
        remaining = actors(tmp_path)
        assert remaining
        process.kill()
        process.communicate()
    # Actors exit when they notice that their driver is gone.
    wait_until(lambda: not any(map(is_alive, remaining)), what="the actors' end")
    assert run.info().status == "running"
    # Only a trial that resumes from this checkpoint reports so many seconds.
    saved = read_checkpoint(run, 2)
    assert saved is not None
    write_checkpoint(run, 2, replace(saved, progress={**saved.progress, "seconds": 5000.0}))
    recorded = {trial.number: trial for trial in open_study(run).trials}
    assert [recorded[number].state.name for number in (0, 1, 2)] == ["COMPLETE", "COMPLETE", "RUNNING"]
    unfinished = recorded[2]
    # The time budget includes the killed session, whose end was not recorded.
    spent = open_study(run).user_attrs["seconds"]
    assert spent > 0
    with (run.folder.local / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":6,"worker')

    assert search("--resume", "cut", "--runs", tmp_path, "--family", "opera").exit_code == 2
    resumed = search("--resume", "cut", "--runs", tmp_path)
    assert resumed.exit_code == 0, resumed.output
    info, trials, history = run.info(), run.trials(), run.history()
    assert (info.status, info.reason) == ("finished", "all trials")
    assert info.seconds > spent
    assert trials["status"].tolist() == ["COMPLETE"] * 4
    assert trials["epochs"].tolist() == [EPOCHS] * 4
    assert (trials["seconds"] > 5000).tolist() == [False, False, True, False]
    assert trials["trial_id"].is_unique
    counts = history.groupby("trial_id")["epoch"].agg(["count", "max"])
    assert (counts["count"] == counts["max"]).all()
    study = open_study(run).trials
    assert [trial.number for trial in study] == [0, 1, 2, 3]
    assert study[1].value == recorded[1].value
    assert study[2].params == unfinished.params
    assert unfinished.intermediate_values.items() <= study[2].intermediate_values.items()
    assert study[2].user_attrs["trial_id"] == unfinished.user_attrs["trial_id"]
    assert len(run.predictions(unfinished.user_attrs["trial_id"])) == info.n_validated
    assert not run.folder.exists("checkpoints")

    extended = search("--extend", "cut", "--trials", "1", "--runs", tmp_path)
    assert extended.exit_code == 0, extended.output
    extended_trials = run.trials()
    assert (len(extended_trials), run.info().trials, run.info().status) == (5, 5, "finished")
    assert extended_trials.iloc[:4][trials.columns].equals(trials)
    # The sampler did not repeat its random numbers.
    assert extended_trials["config.noise"].iloc[1:].is_unique


def test_a_bad_configuration_fails_and_the_search_continues(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("inputs: {low: -60, high: 57}\nlearning_rate: {low: 1.0e-3, high: 1.0e+35, log: true}\n")
    run = run_search(
        SearchSettings.checked(
            family="softmax",
            cache=str(small_cache),
            runs=str(tmp_path / "runs"),
            name="bad",
            trials=10,
            max_epochs=3,
            folds=2,
            searcher="random",
            portfolio=False,
            space=str(space),
            seed=1,
        )
    )
    trials = run.trials()
    assert run.info().reason == "all trials"
    assert len(trials) == 10
    failed = trials[trials["status"] == "FAIL"]
    assert failed["val_accuracy"].isna().all()
    raised = failed[failed["config.inputs"] <= 0]
    assert len(raised) >= 2
    assert raised["error"].str.startswith("Traceback").all()
    diverged = failed[failed["config.inputs"] > 0]
    assert len(diverged) >= 2
    assert diverged["error"].str.startswith("the loss was not finite in epoch").all()
    assert trials["status"].iloc[0] == "COMPLETE"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 3 MB."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
def test_a_search_stopped_by_a_full_disk_can_be_resumed(
    request: pytest.FixtureRequest, ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        # Other users may mount in a namespace of their own, in which they are root.
        namespace = ["unshare", "--user", "--map-root-user", "--mount"]
        this_test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", request.node.nodeid]
        subprocess.run([*namespace, *this_test], cwd=ROOT, check=True)
        return
    with small_disk(tmp_path) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(2_650_000))
        settings = SearchSettings.checked(
            family="softmax",
            cache=str(small_cache),
            runs=str(disk / "runs"),
            name="full",
            trials=12,
            max_epochs=4,
            folds=2,
            searcher="random",
            # Small enough that the checkpoint of a slow trial does not fill the disk again.
            set={"inputs": 16},
        )
        with pytest.raises(
            RunError, match="the disk is full; all written files stay readable; free some space"
        ):
            run_search(settings)
        run = RunFolder.at(disk / "runs", "full")
        assert run.info().status == "running"
        filler.unlink()
        kept = {
            trial.number: trial.value for trial in open_study(run).trials if trial.state.name == "COMPLETE"
        }
        resumed = resume_search("full", runs=str(disk / "runs"))
        assert resumed.info().reason == "all trials"
        trials = resumed.trials()
        assert len(trials) == 12
        assert set(trials["status"]) <= {"COMPLETE", "PRUNED"}
        for number, value in kept.items():
            assert np.isclose(trials["val_accuracy"].iloc[number], value)


@pytest.mark.slow
def test_an_unreachable_folder_stops_the_search_without_failing_trials(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SearchSettings.checked(
        family="softmax",
        cache=str(small_cache),
        runs=str(tmp_path),
        name="far",
        trials=3,
        max_epochs=2,
        folds=2,
        scheduler="none",
    )
    with monkeypatch.context() as patch:
        patch.setattr(driver, "GenreTrial", Lost)
        with pytest.raises(RunError, match=r"far: cannot be reached \(AWS Error NETWORK") as caught:
            run_search(settings)
    assert f"'python -m search.run --resume far --runs {tmp_path}'" in str(caught.value)
    run = RunFolder.at(tmp_path, "far")
    assert run.info().status == "running"
    assert not any(trial.state.is_finished() for trial in open_study(run).trials)
    resumed = resume_search("far", runs=str(tmp_path))
    assert resumed.info().reason == "all trials"
    assert resumed.trials()["status"].tolist() == ["COMPLETE"] * 3
    assert len(resumed.predictions(resumed.trials()["trial_id"].iloc[0])) == resumed.info().n_validated
