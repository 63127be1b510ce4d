"""Ctrl-C in a search over two families, as a real signal to a real process, and its resumption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search import resume_families
from search.storage.checkpoint import read_checkpoint
from search.storage.search_record import read_record, run_of
from search.storage.study import open_study
from tests.support.paths import ROOT
from tests.support.softmax import Softmax
from tests.support.waiting import running, wait_until

BUDGET = 600.0


@pytest.fixture
def heeded_sigint() -> Iterator[None]:
    """Let child processes receive SIGINT, which those of a job in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_ctrl_c_loses_nothing_and_the_search_resumes_within_its_budget(
    ray_cluster: None,
    softmax: Softmax,
    small_cache: Path,
    tmp_path: Path,
    heeded_sigint: None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    weak, good = (run_of(tmp_path, "cut", family) for family in ("weak_softmax", "softmax"))
    options = ["--family", "weak_softmax,softmax", "--cache", str(small_cache), "--runs", str(tmp_path)]
    options += ["--name", "cut", "--trials", "3", "--time-budget", str(BUDGET), "--folds", "2"]
    options += ["--max-concurrent", "1", "--scheduler", "none", "--set", "epochs=30"]

    def epoch() -> int:
        checkpoint = read_checkpoint(good, 0)
        return checkpoint.progress["epoch"] if checkpoint else 0

    with running(
        [sys.executable, "-m", "tests.support.softmax", *options],
        cwd=ROOT,
        env={**os.environ, "EPOCH_SECONDS": "0.5"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(epoch, what="a checkpoint of the second family", alive=process, every=0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert output.splitlines()[-1].endswith(f"--resume cut --runs {tmp_path}")
    # One line per event, however long it is.
    (line,) = (line for line in errors.splitlines() if line.startswith("cut-weak_softmax:0 "))
    assert "COMPLETE after 30 epochs" in line
    assert line.endswith(" left")
    interrupted = read_record(tmp_path, "cut")
    assert (interrupted.status, interrupted.stopped) == ("interrupted", {})
    assert 0 < interrupted.seconds < BUDGET
    (kept,) = weak.trials().to_dict("records")
    (unfinished,) = open_study(good).trials[:1]
    assert unfinished.state.name == "RUNNING"
    reached = epoch()
    assert 0 < reached < 30

    capfd.readouterr()
    search = resume_families("cut", runs=str(tmp_path))
    resumed = search.record()
    assert resumed.status == "finished"
    assert interrupted.seconds < resumed.seconds < BUDGET
    assert [len(run.trials()) for run in (weak, good)] == [3, 3]
    # Later trials may have added columns.
    row = weak.trials().to_dict("records")[0]
    assert {name: row[name] for name in kept} == kept
    assert [run.info().status for run in search.runs()] == ["finished", "finished"]
    first = open_study(good).trials[0]
    assert first.state.name == "COMPLETE"
    assert first.user_attrs["trial_id"] == unfinished.user_attrs["trial_id"]
    assert unfinished.intermediate_values.items() <= first.intermediate_values.items()
    history = good.history()
    epochs = history[history["trial_id"] == first.user_attrs["trial_id"]]["epoch"].tolist()
    assert epochs == list(range(1, 31))
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("cut-weak_softmax: 1 trial so far (1 COMPLETE); best ") for line in lines)
    assert any(line.startswith("cut-softmax:0 COMPLETE after 30 epochs: ") for line in lines)
