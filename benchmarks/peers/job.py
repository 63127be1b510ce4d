"""Input of a peer: arrays, folds, a working folder and a log for its scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.space import SCALERS
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task
from spaces.training.dense.scalers import apply_scaler, fit_scaler

FOLDS, TEST_FRACTION, MAX_EPOCHS, WORKERS = 5, 0.2, 100, 2
STARTED = "PEER_STARTED"
"""Environment variable with the start of the peer's budget, in seconds since 1970."""


@dataclass(frozen=True)
class Job:
    """A search of a peer.

    Attributes
    ----------
    folder : Path
        The peer's own folder.
    seed : int
        Seed of the folds and of the search.
    """

    folder: Path
    seed: int

    @property
    def cache(self) -> str:
        """Path of the cache, which only the harness needs."""
        return (self.folder / "cache.txt").read_text()

    @property
    def log(self) -> Path:
        """File of the scores, one JSON object per line."""
        return self.folder / "scores.jsonl"

    def arrays(self) -> dict[str, np.ndarray]:
        """Return ``y``, ``fold`` (of each row) and, by scaler, the rows, shape (folds, rows, features)."""
        with np.load(self.folder / "job.npz") as saved:
            return {name: saved[name] for name in saved.files}

    def report(self, trial: str | int, epoch: int, accuracy: float) -> None:
        """Record the score of a trial after `epoch` epochs of all folds."""
        seconds = time.time() - float(os.environ[STARTED])
        entry = {"seconds": round(seconds, 3), "trial": str(trial), "epoch": epoch, "accuracy": accuracy}
        # Append each line in one short write, so that lines of several processes do not mix.
        with self.log.open("ab", buffering=0) as stream:
            stream.write(json.dumps(entry).encode() + b"\n")


def make_job(folder: Path, cache: str, seed: int) -> Job:
    """Prepare a search: the folds that `search.run` makes from this seed, scaled by their training rows."""
    rows = Cache.open(cache).rows("features")
    split = make_split(rows.tracks(), folds=FOLDS, test_fraction=TEST_FRACTION, seed=seed)
    task = search_task(rows, split)
    fold = np.empty(len(task.y), dtype=np.int64)
    scaled = {name: np.empty((FOLDS, *task.X.shape), dtype=np.float32) for name in SCALERS}
    for number, task_fold in enumerate(task.folds):
        fold[task_fold.valid] = number
        for name, table in scaled.items():
            table[number] = apply_scaler(fit_scaler(name, task.X[task_fold.train]), np.asarray(task.X[:]))
    folder.mkdir(parents=True)
    np.savez(folder / "job.npz", y=task.y, fold=fold, **scaled)  # type: ignore[arg-type]
    (folder / "cache.txt").write_text(cache)
    return Job(folder, seed)


def job_from_arguments() -> Job:
    """Return the job from the command line's arguments: a folder and a seed."""
    return Job(Path(sys.argv[1]), int(sys.argv[2]))


def worker_number() -> int | None:
    """Return the number of this worker process; None for the process that starts the workers."""
    return int(sys.argv[3]) if len(sys.argv) > 3 else None


def start_workers(module: str, job: Job, **environment: str) -> list[subprocess.Popen[bytes]]:
    """Start the workers of a peer whose tool starts none itself."""
    command = [sys.executable, "-m", module, str(job.folder), str(job.seed)]
    return [
        subprocess.Popen([*command, str(number)], env={**os.environ, **environment, "WORKER": str(number)})
        for number in range(WORKERS)
    ]
