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

_HASTE = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}
"""With it Ray notices a dead node in seconds, not in a minute."""


def test_trials_share_cards_and_outlive_their_node(small_cache: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.nodes", str(small_cache), str(tmp_path)],
        cwd=ROOT,
        # What the user's environment says of threads is about other programs.
        env={**os.environ, **_HASTE, "OMP_NUM_THREADS": "7"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    told = json.loads(result.stdout.splitlines()[-1])
    run = RunFolder.at(tmp_path, "gpus")
    notes = read_notes(run.folder.local)

    # Three of half a card each on a node of two cards: Ray tells each process its own card.
    cards = {note["process"]: note["card"] for note in notes if note["node"] == told["lost"]}
    assert len(cards) == 3
    assert set(cards.values()) == {"0", "1"}
    assert all(note["card"] in ("0", "1") for note in notes)
    assert {note["threads"] for note in notes} == {1}

    # None is lost, and each went on from its checkpoint: only the epoch in flight is trained twice.
    trials = run.trials()
    assert trials["status"].tolist() == ["COMPLETE"] * TRIALS
    assert (run.history().groupby("trial_id")["epoch"].agg(["count", "max"]) == EPOCHS).all(axis=None)
    nodes, epochs = defaultdict(set), defaultdict(list)
    for note in notes:
        nodes[note["trial"]].add(note["node"])
        epochs[note["trial"]].append(note["epoch"])
    moved = [trial for trial, where in nodes.items() if told["lost"] in where and len(where) > 1]
    assert moved
    for trial, course in epochs.items():
        assert course[-1] == EPOCHS
        again = sum(course.count(epoch) - 1 for epoch in set(course))
        assert again <= (1 if trial in moved else 0), course
    assert told["came"] in {note["node"] for note in notes}
