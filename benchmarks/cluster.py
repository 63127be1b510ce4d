"""Trials per minute on 1, 2, 4 and 8 nodes, and the estimated cost of a search in instance-hours.

Goal: 8 nodes reach at least 0.9 of eight times the rate of one node. Run it with
``python -m benchmarks.cluster``; ``--paper`` prints only the estimate, without measuring.

The nodes are local Ray nodes with one logical core each. Trials sleep instead of training, so that only the
driver is measured: searcher, scheduler, journal and tables. The start of the worker processes takes some
seconds per node. It is not counted, because it happens once per search.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import random_cache

_NODES = (1, 2, 4, 8)
_SECONDS = 4.0
"""Seconds per trial."""
_TRIALS = 8
"""Trials per node."""


def rate(nodes: int) -> float:
    """Measure the trials per minute while all nodes are busy."""
    import ray
    from ray.cluster_utils import Cluster
    from ray.tune import Callback

    from search import SearchSettings, driver, run_search
    from search.outcomes import COMPLETE
    from search.storage.columns import EPOCH_METRICS
    from search.tune.reports import SCORE
    from search.tune.trial import GenreTrial

    class Sleeper(GenreTrial):
        """Trial that takes a fixed time."""

        def setup(self, config: dict[str, Any], **shared: Any) -> None:
            self._checkpoint_seconds = float("inf")
            self._task, self._rungs = shared["task"], shared["rungs"]
            self._start(config)

        def step(self) -> dict[str, Any]:
            time.sleep(_SECONDS)
            scores = dict.fromkeys((*EPOCH_METRICS, SCORE), 0.5)
            return {
                **scores,
                "epoch": 1,
                "best_epoch": 1,
                "params": 1,
                "precision": "float32",
                "seconds": _SECONDS,
                "curve": [{"epoch": 1, **scores}],
                "outcome": COMPLETE,
                "error": "",
                "done": True,
            }

    starts: list[float] = []
    ends: list[float] = []

    class Clock(Callback):
        """Records when trials start and end."""

        def on_trial_start(self, *arguments: Any, **info: Any) -> None:
            starts.append(time.monotonic())

        def on_trial_complete(self, *arguments: Any, **info: Any) -> None:
            ends.append(time.monotonic())

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    genre_trial, capacity = driver.GenreTrial, driver._capacity
    driver.GenreTrial = Sleeper
    driver._capacity = lambda *arguments: [*capacity(*arguments), Clock()]
    try:
        with tempfile.TemporaryDirectory() as folder:
            run_search(
                SearchSettings.checked(
                    family="features_mlp",
                    cache=random_cache(Path(folder) / "cache", tracks=40, genres=2),
                    runs=str(Path(folder) / "runs"),
                    trials=_TRIALS * nodes,
                    max_epochs=1,
                    folds=2,
                    address=cluster.address,
                )
            )
    finally:
        driver.GenreTrial, driver._capacity = genre_trial, capacity
        ray.shutdown()
        cluster.shutdown()
    # From the moment when every node has a worker until the first worker is idle.
    first, last = starts[nodes - 1], starts[-1]
    return 60 * sum(first < end <= last for end in ends) / (last - first)


@dataclass(frozen=True)
class Work:
    """Size of the trials of a family on GTZAN.

    Attributes
    ----------
    rows : int
        Tensors of all 1,000 tracks. The search uses 80 % of them.
    shape : tuple of int
        Shape of a tensor: height, width, channels.
    folds, epochs : int
        Folds and epochs of a trial that is not stopped early.
    """

    rows: int
    shape: tuple[int, int, int]
    folds: int
    epochs: int


_MACHINES = {
    "m7i.4xlarge (16 vCPU)": 16 * 20e9,
    "g6.xlarge (1 L4)": 0.25 * 30.3e12,
    "g5.xlarge (1 A10G)": 0.25 * 31.2e12,
}
"""Floating-point operations per second in training. Assumed: 20 GFLOP/s per vCPU; on a GPU, a quarter of the
vendor's single-precision peak."""
_FAMILIES = {
    "features_mlp": Work(1000, (1, 57, 1), 5, 100),
    "melspec_cnn": Work(10000, (128, 130, 1), 1, 30),
    "image_cnn": Work(1000, (300, 300, 3), 1, 30),
    "vgg16_transfer": Work(1000, (300, 300, 3), 1, 30),
}
_SHARE = 0.45
"""Assumed fraction of all epochs that are trained under ASHA."""
_OVERHEAD = 10.0
"""Assumed overhead per trial in seconds: tracing, compilation, checkpoints."""


def operations(family: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return the operations per row: those of each epoch, and those needed once per search.

    Training costs as much as three forward passes (forward, gradient of inputs, gradient of weights). A
    multiply-add is two operations. The networks are the published baselines.
    """
    height, width, channels = shape
    if family == "features_mlp":
        return 6.0 * (57 * 58 + 58 * 29 + 29 * 10), 0.0
    if family == "vgg16_transfer":
        # 15.3 G multiply-adds at 224 x 224 (VGG16, Simonyan & Zisserman 2015); once, as outputs are kept.
        frozen = 2 * 15.3e9 * height * width / 224**2
        return 6.0 * (512 * (height // 32) * (width // 32) * 512 + 512 * 64 + 64 * 10), frozen
    total = 0.0
    for kernel in (3, 3, 2):
        height, width = height - kernel + 1, width - kernel + 1
        total += height * width * kernel**2 * channels * 32
        height, width, channels = height // 2, width // 2, 32
    return 6.0 * (total + height * width * 32 * 64), 0.0


def hours(family: str, speed: float) -> float:
    """Estimate the instance-hours of 100 trials."""
    work = _FAMILIES[family]
    per_epoch, per_search = operations(family, work.shape)
    rows = 0.8 * work.rows
    trained = rows * (work.folds - 1 if work.folds > 1 else 0.8) * work.epochs * _SHARE * per_epoch
    return (100 * (trained / speed + _OVERHEAD) + rows * per_search / speed) / 3600


def paper() -> None:
    """Print the table of instance-hours."""
    print(
        f"Instance-hours, estimated and not measured: GTZAN, 100 trials per family, one at a time. Assumed:"
        f"\n{_SHARE:.0%} of the epochs trained, {_OVERHEAD:g} s overhead per trial, speeds as in the code"
    )
    print(f"{'':16}" + "".join(f"{machine:>24}" for machine in _MACHINES))
    for family in _FAMILIES:
        print(f"{family:16}" + "".join(f"{hours(family, speed):24.2f}" for speed in _MACHINES.values()))
    totals = [math.fsum(hours(family, speed) for family in _FAMILIES) for speed in _MACHINES.values()]
    print(f"{'all four':16}" + "".join(f"{total:24.2f}" for total in totals))


def main() -> None:
    paper()
    if "--paper" in sys.argv:
        return
    print(
        f"\nPython {platform.python_version()}, {os.cpu_count()} cores;"
        f" trials of {_SECONDS:g} s, one per node"
    )
    rates = {nodes: rate(nodes) for nodes in _NODES}
    for nodes, per_minute in rates.items():
        print(f"{nodes} nodes {per_minute:7.1f} trials/min  efficiency {per_minute / nodes / rates[1]:.2f}")


if __name__ == "__main__":
    main()
