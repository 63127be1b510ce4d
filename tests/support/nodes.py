"""A search over Ray nodes on one machine that loses one: ``python -m tests.support.nodes CACHE RUNS``.

It runs in a process of its own, because a process has one cluster. The GPUs are only counted. It prints the
node that was lost and its replacement; the trials write notes into the run's folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from search import SearchSettings, run_search
from search import driver as tuning
from search.tune.trial import GenreTrial
from tests.support.softmax import registered

TRIALS, EPOCHS = 5, 8
_SECONDS = 1.0
"""Minimum duration of an epoch."""


class NotingTrial(GenreTrial):
    """A slow trial that saves every epoch and notes its node, GPU and process."""

    def _advance(self, started: float) -> str:
        time.sleep(_SECONDS)
        outcome = super()._advance(float("-inf"))
        note = {
            "trial": self._number,
            "epoch": self._record.epoch,
            "node": ray.get_runtime_context().get_node_id(),
            "card": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "process": os.getpid(),
            "cpus": vars(self._family)["cpus"],
        }
        with (self._run.folder.local / "notes").open("a") as notes:
            notes.write(json.dumps(note) + "\n")
        return outcome

    def _save_checkpoint(self, started: float) -> None:
        self._due = float("-inf")
        super()._save_checkpoint(started)


def read_notes(run: Path) -> list[dict[str, int | str]]:
    """All notes of a run's trials, in chronological order."""
    path = run / "notes"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(cache: str, runs: str) -> None:
    """Search; remove a node while it runs as many trials as fit on it, and add another."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    lost = nodes.add_node(num_cpus=3, num_gpus=2)
    nodes.add_node(num_cpus=1, num_gpus=1)
    nodes.wait_for_nodes(timeout=240)
    settings = SearchSettings.checked(
        family="softmax",
        cache=cache,
        runs=runs,
        name="gpus",
        trials=TRIALS,
        max_epochs=EPOCHS,
        folds=2,
        scheduler="none",
        searcher="random",
        gpus_per_trial=0.5,
        address=nodes.address,
    )
    tuning.GenreTrial = NotingTrial
    # The search runs in another thread: Ray starts nodes in the main thread only.
    with ThreadPoolExecutor(1) as background:
        searching = background.submit(run_search, settings)
        processes: set[object] = set()
        while len(processes) < 3 and not searching.done():
            time.sleep(0.2)
            notes = read_notes(Path(runs) / "gpus")
            processes = {note["process"] for note in notes if note["node"] == lost.node_id}
        nodes.remove_node(lost, allow_graceful=False)
        added = nodes.add_node(num_cpus=3, num_gpus=2)
        searching.result()
    print(json.dumps({"lost": lost.node_id, "came": added.node_id}))
    nodes.shutdown()


if __name__ == "__main__":
    with registered():
        main(*sys.argv[1:])
