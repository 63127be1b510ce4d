"""Time of ``python -m results.leaderboard`` over 10,000 trials, compared with reading them by pandas.

Goal: under a second for the whole process on an idle machine. Run it with
``python -m benchmarks.leaderboard``. It writes ten runs of 1,000 trials, with the predictions of the best
trials, to a temporary folder.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.support.runs import write_scores

_RUNS, _TRIALS, _TRACKS, _ROUNDS = 10, 1000, 1000, 5
_CLASSES = ("blues", "disco", "metal")
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
    for number in range(_RUNS):
        accuracy = rng.uniform(0.2, 0.8, _TRIALS).round(3)
        run = write_scores(runs, f"run{number}", accuracy.tolist(), n_validated=_TRACKS)
        labels = np.array(_CLASSES, dtype=object)[rng.integers(0, 3, _TRACKS)]
        for trial in {0, *np.argsort(-accuracy, kind="stable")[:10].tolist()}:
            probabilities = rng.dirichlet(np.ones(3), _TRACKS)
            run.write_predictions(f"t{trial}", tracks, labels, _CLASSES, probabilities)


def minimum_seconds(arguments: list[str]) -> tuple[float, float]:
    """Run a Python command several times; return its minimum wall and processor time, in seconds."""
    wall_seconds, core_seconds = [], []
    for _ in range(_ROUNDS):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
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
