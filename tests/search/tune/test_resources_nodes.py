"""A search on two nodes with GPUs; one node is killed and another joins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from search.storage.run_folder import RunFolder
from tests.support.nodes import EPOCHS, TRIALS, read_notes
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_FAST_HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}
"""Settings with which Ray notices a dead node in seconds, not in a minute."""


def test_trials_share_gpus_and_survive_a_dead_node(small_cache: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.nodes", str(small_cache), str(tmp_path)],
        cwd=ROOT,
        # The user's number of threads is meant for other programs.
        env={**os.environ, **_FAST_HEALTH_CHECKS, "OMP_NUM_THREADS": "7"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(result.stdout.splitlines()[-1])
    run = RunFolder.at(tmp_path, "gpus")
    notes = read_notes(run.folder.local)

    # Three trials with half a GPU each on a node with two GPUs: Ray assigns one GPU to each process.
    cards = {note["process"]: note["card"] for note in notes if note["node"] == report["lost"]}
    assert len(cards) == 3
    assert set(cards.values()) == {"0", "1"}
    assert all(note["card"] in ("0", "1") for note in notes)
    # `tests/spaces/training/test_device.py` proves that TensorFlow uses as many threads.
    assert {note["cpus"] for note in notes} == {1.0}

    # No trial is lost, and each resumed from its checkpoint: only the interrupted epoch is repeated.
    trials = run.trials()
    assert trials["status"].tolist() == ["COMPLETE"] * TRIALS
    assert (run.history().groupby("trial_id")["epoch"].agg(["count", "max"]) == EPOCHS).all(axis=None)
    nodes, epochs = defaultdict(set), defaultdict(list)
    for note in notes:
        nodes[note["trial"]].add(note["node"])
        epochs[note["trial"]].append(note["epoch"])
    moved = [trial for trial, visited in nodes.items() if report["lost"] in visited and len(visited) > 1]
    assert moved
    for trial, trained in epochs.items():
        assert trained[-1] == EPOCHS
        repeated = sum(trained.count(epoch) - 1 for epoch in set(trained))
        assert repeated <= (1 if trial in moved else 0), trained
    assert report["came"] in {note["node"] for note in notes}
