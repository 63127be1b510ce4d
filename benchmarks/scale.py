"""Trials per second and time per suggestion as the numbers of trials and workers grow; epochs do nothing.

Goals: at least 12 trials per second, under 30 ms of driver CPU per trial, growth no worse than linear. Run it
with ``python -m benchmarks.scale``. ``--full`` runs 200, 1,000 and 5,000 trials on 2, 16 and 64 workers
(logical cores), which needs some gigabytes of memory and half an hour.

Everything belongs to a real search, with journal, record and ASHA, except the trial: it reports an artificial
score at each rung. The first trials wait for each other until all workers have started, and this start is
timed separately. Starting 64 processes on few cores takes longer than a thousand of these trials, whereas no
real trial ends before all workers have started.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import random_cache


def no_op_trial(started: Path, workers: int) -> type:
    """Return a trial class that trains nothing; first trials wait until each worker has written a file."""
    from ray import tune

    from search.outcomes import COMPLETE, RUNNING
    from search.storage.columns import EPOCH_METRICS
    from search.storage.rungs import Rungs
    from search.tune.reports import SCORE, TRIAL_NUMBER

    class NoOpTrial(tune.Trainable):
        """Trial that reports an artificial score at each rung."""

        def setup(self, config: dict[str, Any], *, rungs: Rungs, **shared: Any) -> None:
            self._rungs = rungs
            self.reset_config(config)
            (started / str(os.getpid())).touch()
            while sum(1 for _ in started.iterdir()) < workers:
                time.sleep(0.05)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._number, self._epochs, self._done = new_config[TRIAL_NUMBER], new_config["epochs"], 0
            return True

        def step(self) -> dict[str, Any]:
            before = self._done
            stops = (*self._rungs.of(self._epochs), self._epochs)
            self._done = min((stop for stop in stops if stop > before), default=before + 1)
            score = (self._number * 7919 % 1000) / 1000
            row = dict.fromkeys(set(EPOCH_METRICS) - {"val_accuracy"}, 0.5)
            curve = [
                {"epoch": epoch, "val_accuracy": score, SCORE: score, **row}
                for epoch in range(before + 1, self._done + 1)
            ]
            ended = self._done >= self._epochs
            return {
                "epoch": self._done,
                "best_epoch": 1,
                "val_accuracy": score,
                SCORE: score,
                **row,
                "params": 1,
                "precision": "float32",
                "seconds": 0.0,
                "curve": curve,
                "outcome": COMPLETE if ended else RUNNING,
                "error": "",
                "done": ended,
            }

    return NoOpTrial


class Pace(NamedTuple):
    """Speed of a search once its workers have started.

    Attributes
    ----------
    start : float
        Seconds until all workers have started.
    rate, later_rate : float
        Trials per second: of all trials, of the later half.
    cpu, later_cpu : float
        Milliseconds of driver CPU per trial: of all trials, of the later half.
    suggestion : float
        Milliseconds of driver CPU per suggestion, over the last tenth of the suggestions.
    """

    start: float
    rate: float
    later_rate: float
    cpu: float
    later_cpu: float
    suggestion: float


class Moment(NamedTuple):
    """Driver CPU time and wall time in seconds."""

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(time.process_time(), time.perf_counter())


def measure(cache: str, runs: str, *, searcher: str, trials: int, workers: int) -> Pace:
    """Run a search and measure its speed."""
    import ray

    from search import SearchSettings, driver, run_search

    ray.init(
        address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="error"
    )
    began = Moment.now()
    suggestion_seconds: list[float] = []
    moments: dict[int, Moment] = {}
    # Each worker's first suggestion comes at the start; every later one follows the end of a trial.
    halfway = (workers + trials) // 2

    class Timed(driver.TruthfulOptunaSearch):  # type: ignore[name-defined,misc]
        """Searcher that times its suggestions."""

        def suggest(self, trial_id: str) -> Any:
            if len(suggestion_seconds) in (workers, halfway):
                moments.setdefault(len(suggestion_seconds), Moment.now())
            started_at = time.process_time()
            config = super().suggest(trial_id)
            if config is not None:
                suggestion_seconds.append(time.process_time() - started_at)
            return config

        def save(self, checkpoint_path: str) -> None:
            """Write nothing: this local class cannot be pickled, and nothing reads the file."""

    started = Path(runs) / f"started-{searcher}-{trials}-{workers}"
    started.mkdir()
    originals = driver.GenreTrial, driver.TruthfulOptunaSearch
    driver.GenreTrial, driver.TruthfulOptunaSearch = no_op_trial(started, workers), Timed  # type: ignore[misc,assignment]
    try:
        settings = SearchSettings.checked(
            family="features_mlp",
            cache=cache,
            runs=runs,
            name=f"{searcher}-{trials}-{workers}",
            folds=1,
            trials=trials,
            max_epochs=9,
            grace_period=0.1,
            searcher=searcher,
        )
        run = run_search(settings)
        ended = Moment.now()
    finally:
        driver.GenreTrial, driver.TruthfulOptunaSearch = originals  # type: ignore[misc]
        ray.shutdown()
    if len(run.trials()) != trials:
        raise RuntimeError(f"the run has {len(run.trials())} trials instead of {trials}")
    last_tenth = suggestion_seconds[-max(1, trials // 10) :]
    ready, middle = moments[workers], moments[halfway]
    whole, later = trials - workers, trials - halfway
    return Pace(
        start=ready.wall - began.wall,
        rate=whole / (ended.wall - ready.wall),
        later_rate=later / (ended.wall - middle.wall),
        cpu=1000 * (ended.cpu - ready.cpu) / whole,
        later_cpu=1000 * (ended.cpu - middle.cpu) / later,
        suggestion=1000 * sum(last_tenth) / len(last_tenth),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--full", action="store_true", help="run all sizes that the goals name")
    parser.add_argument("--searchers", nargs="+", default=["random", "tpe"])
    parser.add_argument("--trials", type=int, nargs="+", help="numbers of trials to run instead")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[2], help="numbers of workers, with --trials"
    )
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sizes = [(100, 2), (400, 2), (400, 8)]
    if options.full:
        sizes = [(trials, workers) for workers in (2, 16, 64) for trials in (200, 1000, 5000)]
    if options.trials:
        sizes = list(product(options.trials, options.workers))
    if any(trials < 2 * workers for trials, workers in sizes):
        parser.error("--trials: use at least two trials per worker (--workers)")
    print(
        "searcher  trials  workers  start s  trials/s (later half)  driver CPU ms/trial (later half)"
        "  suggestion ms"
    )
    with tempfile.TemporaryDirectory() as folder:
        cache = random_cache(Path(folder) / "cache", tracks=100)
        for searcher in options.searchers:
            for trials, workers in sizes:
                pace = measure(cache, folder, searcher=searcher, trials=trials, workers=workers)
                print(
                    f"{searcher:8}  {trials:6}  {workers:7}  {pace.start:7.1f}"
                    f"  {pace.rate:8.1f} ({pace.later_rate:.1f})"
                    f"  {pace.cpu:19.1f} ({pace.later_cpu:.1f})  {pace.suggestion:10.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
