"""Time of ``python -m results.leaderboard`` over 10,000 trials, compared with reading them by pandas.

Goal: under a second for the whole process on an idle machine. Run it with
``python -m benchmarks.leaderboard``. It writes ten runs of 1,000 trials to a temporary folder, with the
predictions of the trials that a leaderboard reads: the 200 best, of all their epochs too, and the BASELINEs.
Processor time is of the user and of the system; on a machine with other work it says more than the wall time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from data.dataset.choice_correction import MAX_TRIALS
from data.dataset.epoch_predictions import EpochPredictions
from tests.support.runs import write_scores

_RUNS, _TRIALS, _TRACKS, _EPOCHS, _ROUNDS = 10, 1000, 1000, 30, 5
_LEARNING_EPOCHS = 6
"""Epochs in which a trial approaches its accuracy."""
_CLASSES = tuple(f"genre {number}" for number in range(10))
_PANDAS = """
import sys
from pathlib import Path
import pandas as pd
pd.concat([pd.read_parquet(path) for path in Path(sys.argv[1]).glob("*/trials.parquet")])
"""


def write(runs: Path) -> None:
    """Write runs with random scores and predictions."""
    rng = np.random.default_rng(0)
    tracks = np.array([f"{number:04d}" for number in range(_TRACKS)], dtype=object)
    truth = rng.integers(len(_CLASSES), size=_TRACKS)
    labels = np.array(_CLASSES, dtype=object)[truth]
    accuracies = rng.uniform(0.2, 0.8, (_RUNS, _TRIALS)).round(3)
    runs_by_number = [
        write_scores(runs, f"run{number}", accuracy.tolist(), n_validated=_TRACKS, classes=list(_CLASSES))
        for number, accuracy in enumerate(accuracies)
    ]
    best = np.argsort(-accuracies, axis=None, kind="stable")[:MAX_TRIALS]
    pairs = [divmod(int(position), _TRIALS) for position in best]
    for number, trial in {*pairs, *((number, 0) for number in range(_RUNS))}:
        run, accuracy = runs_by_number[number], accuracies[number, trial]
        epochs = EpochPredictions(_TRACKS)
        for epoch in range(_EPOCHS):
            wrong = rng.integers(len(_CLASSES), size=_TRACKS)
            share = accuracy * (1 - np.exp(-(epoch + 1) / _LEARNING_EPOCHS))
            predicted = np.where(rng.random(_TRACKS) < share, truth, wrong)
            probabilities = 0.4 * rng.dirichlet(np.ones(len(_CLASSES)), _TRACKS)
            probabilities[np.arange(_TRACKS), predicted] += 0.6
            epochs.add(probabilities)
        run.write_predictions(f"t{trial}", tracks, labels, _CLASSES, probabilities)
        run.write_epoch_predictions(f"t{trial}", epochs)


def minimum_seconds(arguments: list[str]) -> tuple[float, float]:
    """Run a Python command several times; return its minimum wall and processor time, in seconds."""
    # As after any earlier command: all modules are compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    wall_seconds, core_seconds = [], []
    for _ in range(_ROUNDS):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall_seconds.append(time.perf_counter() - start)
        core_seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(wall_seconds), min(core_seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        wall, core = minimum_seconds(["-m", "results.leaderboard", "--runs", folder])
        print(f"leaderboard of {_RUNS * _TRIALS} trials: {wall:.2f} s, {core:.2f} s of processor time")
        wall_pandas, core_pandas = minimum_seconds(["-c", _PANDAS, folder])
        print(f"reading by pandas: {wall_pandas:.2f} s, {core_pandas:.2f} s of processor time")
        print(f"leaderboard / reading by pandas, processor time: {core / core_pandas:.2f}")


if __name__ == "__main__":
    main()
