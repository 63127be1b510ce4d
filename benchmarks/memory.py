"""Memory and compilation of one worker process that trains many random configurations, one after another.

Goals: less than 1 MB of resident memory per trial once the process has warmed up, and less than 3 % of the
CPU time spent on compilation. Run it with ``python -m benchmarks.memory [--family NAME] [--trials N]``.

Each trial does what a worker of a search does: it suggests a random configuration, builds its learner, trains
and evaluates a few epochs, and drops the learner. Compilation is the CPU time of a trial's first epoch beyond
the mean of its later ones, plus the time to build the learner. Networks of spectrograms and images differ in
size by a factor of a hundred, and the largest so far determines the memory of the process: a leak shows where
a few configurations are repeated (``--configurations``). `features_mlp` runs on a random table in the
shape of the published one, the families on tensors on the demo data set unless ``--cache`` names another.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

import spaces
from benchmarks.tables import random_cache
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import Task, search_task
from spaces.training.family import Family

_REPORTS = 10
"""Lines of the printed curve."""


def resident_bytes() -> int:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def random_config(family: Family, seed: int, epochs: int) -> dict[str, Any]:
    """Draw one configuration of a family's space; the horizon of its schedule is `epochs` at most."""
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    family.space(trial, epochs)
    return trial.params


def run_trial(family: Family, config: dict[str, Any], task: Task, epochs: int) -> tuple[float, float]:
    """Train a few epochs; return the CPU seconds of compilation and of the whole trial."""
    start = time.process_time()
    learner = family.learner(config, task, seed=0)
    built = time.process_time()
    marks = [built]
    for epoch in range(epochs):
        learner.run_epoch(epoch)
        marks.append(time.process_time())
    first = marks[1] - built
    later = (marks[-1] - marks[1]) / (epochs - 1)
    return built - start + max(0.0, first - later), marks[-1] - start


def task_of(family: Family, cache: str, folds: int | None) -> Task:
    """Split a cache as a search does."""
    rows = Cache.open(cache).rows(family.reads)
    split = make_split(rows.tracks(), folds=folds or family.default_folds, test_fraction=0.2, seed=0)
    return search_task(rows, split)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--family", default="features_mlp", choices=spaces.names())
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument(
        "--configurations", type=int, help="different configurations, in turn; one per trial if not given"
    )
    parser.add_argument("--epochs", type=int, default=25, help="epochs per trial, at least 2")
    parser.add_argument("--folds", type=int, help="folds; the family's own default if not given")
    parser.add_argument("--cache", help="cache to train on")
    options = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    family = spaces.get(options.family)
    family.set_up(cpus=1, gpus=False)
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache
        if cache is None and family.reads == "features":
            cache = random_cache(Path(folder) / "cache")
        elif cache is None:
            from data.demo import ensure

            cache = ensure()
        task = task_of(family, cache, options.folds)
        print(
            f"{family.name}, {len(task.X)} rows, {len(task.folds)} folds, {options.epochs} epochs per trial"
        )
        print("trials  resident MB  compilation s per trial  share of CPU time")
        compilation, total, marks = 0.0, 0.0, []
        for number in range(1, options.trials + 1):
            config = random_config(family, number % (options.configurations or number + 1), options.epochs)
            compiling, whole = run_trial(family, config, task, options.epochs)
            compilation += compiling
            total += whole
            if number % max(1, options.trials // _REPORTS) == 0:
                gc.collect()
                marks.append((number, resident_bytes() / 1e6))
                per_trial, share = compilation / number, compilation / total
                print(f"{number:6} {marks[-1][1]:12.0f} {per_trial:24.3f} {share:18.1%}", flush=True)
    half = marks[len(marks) // 2 :]
    if len(half) > 1:
        growth = (half[-1][1] - half[0][1]) / (half[-1][0] - half[0][0])
        print(f"growth over the second half: {growth:.2f} MB per trial   (goal: under 1)")


if __name__ == "__main__":
    main()
