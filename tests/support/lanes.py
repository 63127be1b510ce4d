"""Search over a numpy family with GPUs and one without, on a Ray that declares a GPU it does not have.

``python -m tests.support.lanes CACHE RUNS`` runs the search ``both``, then ``held``, which it interrupts by
Ctrl-C while a trial of each family trains, and resumes. It prints the status of ``held`` after each session.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

import spaces
from search import resume_families, search_families
from search.storage.search_record import run_of
from tests.support import softmax

FAMILIES = ("weak_softmax", "softmax")


def interrupt_when_training(runs: str) -> None:
    """Send Ctrl-C to this process when each family has a trial with a checkpoint."""
    checkpoints = [run_of(runs, "held", family).folder.local / "checkpoints" for family in FAMILIES]
    while not all(list(folder.glob("*.npz")) for folder in checkpoints):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Run the searches."""
    import ray

    cache, runs = sys.argv[1:]
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    with softmax.registered():
        families: list[Any] = [spaces.get(family) for family in FAMILIES]
        type(families[0]).gains_from_gpus = True
        common: dict[str, Any] = {"cache": cache, "runs": runs, "folds": 2, "gpus_per_trial": 0.5}
        common |= {"max_epochs": 30, "scheduler": "none", "set": {"epochs": 30}}
        for family in families:
            family.epoch_seconds = 0.05
        search_families(",".join(FAMILIES), name="both", trials=2, **common)
        for family in families:
            family.epoch_seconds = 0.5
        threading.Thread(target=interrupt_when_training, args=[runs], daemon=True).start()
        held = search_families(",".join(FAMILIES), name="held", trials=1, **common)
        print(held.record().status, *(run.info().status for run in held.runs()))
        print(resume_families("held", runs=runs).record().status)
    ray.shutdown()


if __name__ == "__main__":
    from tests.support import lanes

    lanes.main()
