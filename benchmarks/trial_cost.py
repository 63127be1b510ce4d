"""Where a trial's time goes, per family; heads on cached outputs against the whole backbone in each epoch.

Goals: training steps take over 90 % of a trial of a minute or more. A trial that trains only a head takes
under 1/50 of the time of one that runs the backbone in each epoch, with equal results. Run it with
``python -m benchmarks.trial_cost [--cache DIR] [--weights FILE]``. The default is the demo data set.

A trial does the same work here as in a search between two suggestions. It builds and compiles the BASELINE,
trains and evaluates epoch by epoch, scores the tracks and writes its state. Each trial runs twice, because in
a search all but the first trials run in processes that have already trained others.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import spaces
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import Fold, Task, search_task
from spaces.training.family import Learner


class Stopwatch:
    """Sum of the seconds of calls; the first call, which compiles, counts as the mean of the others."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def around(self, function: Any) -> Any:
        """Return the function with its calls timed."""

        def timed(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **options)
            # Wait for TensorFlow's asynchronous results.
            for value in result:
                if hasattr(value, "numpy"):
                    value.numpy()
            self.calls.append(time.perf_counter() - start)
            return result

        return timed

    @property
    def seconds(self) -> float:
        """Seconds of all calls without compilation."""
        later = self.calls[1:]
        return sum(later) + (sum(later) / len(later) if later else sum(self.calls))


@contextmanager
def steps_timed() -> Iterator[Stopwatch]:
    """Time the training steps of every learner created in this context."""
    from spaces.training.convolution.steps import TrainingSteps
    from spaces.training.dense.epoch import CompiledEpoch

    watch = Stopwatch()
    original_init, original_run = TrainingSteps.__init__, CompiledEpoch.run

    def timed_init(self: Any, *args: Any, **options: Any) -> None:
        original_init(self, *args, **options)
        self.run = watch.around(self.run)

    TrainingSteps.__init__, CompiledEpoch.run = timed_init, watch.around(original_run)  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        TrainingSteps.__init__, CompiledEpoch.run = original_init, original_run  # type: ignore[method-assign]


def share_of_steps(family: Any, task: Task, seconds: float) -> tuple[float, int, float]:
    """Train the BASELINE for `seconds`; return elapsed seconds, epochs and the fraction in training steps."""
    from data.dataset.track_scores import scores, track_probabilities
    from search.driver import REPORT_SECONDS
    from search.tune.trial import CHECKPOINT_SHARE

    truth = task.track_label[task.validated]
    with steps_timed() as watch, tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        learner = family.learner(family.baseline(1000), task, seed=0)
        epoch, due = 0, start + REPORT_SECONDS
        while time.perf_counter() - start < seconds:
            outcome = learner.run_epoch(epoch)
            scores(track_probabilities(task, outcome.probabilities), truth)
            epoch += 1
            # Write the state as often as a search does.
            write_started = time.perf_counter()
            if write_started > due:
                np.savez(Path(folder) / "state.npz", **learner.state())  # type: ignore[arg-type]
                ended = time.perf_counter()
                due = ended + max(REPORT_SECONDS, (ended - write_started) / CHECKPOINT_SHARE)
        whole = time.perf_counter() - start
    return whole, epoch, watch.seconds / whole


def whole_backbone(config: dict[str, Any], task: Task) -> Learner:
    """Return the alternative: the same head and frozen backbone in one network, trained on images."""
    import keras

    from spaces.training.convolution.learner import TensorFolds
    from spaces.training.convolution.recipe import Recipe, Stage
    from spaces.training.transfer.backbones import build, pooled
    from spaces.training.transfer.heads import build_head
    from spaces.training.transfer.weights import load

    size = task.X.shape[1]
    weights = load(config["backbone"], config["weights"])
    rows, columns, channels = build(config["backbone"], size, weights).whole.output_shape[1:]
    n_inputs = rows * columns * channels if config["pooling"] == "flatten" else channels

    def network() -> keras.Model:
        # Initialise the head first: it then gets the same weights as the head without a backbone.
        head = build_head(config, n_inputs, len(task.classes))
        backbone = build(config["backbone"], size, weights).whole
        backbone.trainable = False
        images = keras.Input((size, size, 3))
        return keras.Model(images, head(pooled(config["pooling"], backbone(images, training=False))))

    recipe = Recipe(
        (Stage(config["epochs"], config["learning_rate"]),),
        config["optimizer"],
        config["batch_size"],
    )
    return TensorFolds(network, recipe, task, seed=0)


def timed(make: Any, epochs: int, task: Task) -> tuple[float, float, float]:
    """Measure a trial: seconds, seconds per epoch after the first, and final validation accuracy."""
    start = time.perf_counter()
    learner = make()
    first = 0.0
    for epoch in range(epochs):
        outcome = learner.run_epoch(epoch)
        first = first or time.perf_counter() - start
    whole = time.perf_counter() - start
    valid = task.folds[0].valid
    accuracy = float((outcome.probabilities[0].argmax(axis=1) == task.y[valid]).mean())
    return whole, (whole - first) / (epochs - 1), accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", help="cache with features, spectrograms and images")
    parser.add_argument("--weights", default="none", help="as for search.run; time does not depend on them")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of each family's trial")
    parser.add_argument("--pictures", type=int, default=60, help="training images for backbone and head")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of backbone and head")
    parser.add_argument("--families", nargs="*", default=spaces.names())
    options = parser.parse_args()

    from data.io.keras_import import import_keras

    import_keras()
    import tensorflow as tf

    # A trial reserves one core.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"Python {platform.python_version()}, TensorFlow {tf.__version__}, {os.cpu_count()} cores")
    if options.cache is None:
        from data.demo import ensure

        options.cache = ensure()
    cache = Cache.open(options.cache)

    print(
        "BASELINE of each family, twice in one process; the first trial touches all memory for the first time"
    )
    print("seconds of the trial, epochs, fraction in training steps")
    for name in options.families:
        rows = cache.rows(spaces.get(name).reads)
        weights = options.weights if name == "vgg16_transfer" else None
        family = spaces.get(name).for_search(rows.X.shape[1:], weights=weights)
        split = make_split(rows.tracks(), folds=family.default_folds, test_fraction=0.2, seed=0)
        task = search_task(rows, split)
        if name == "vgg16_transfer":
            # The first process of a node caches the outputs once; this is not a cost per trial.
            family.learner(family.baseline(1), task, seed=0)
        for order in ("first", "later"):
            whole, epochs, share = share_of_steps(family, task, options.seconds)
            print(f"  {name:15} {order} {whole:6.1f} s  {epochs:5} epochs  {share:5.1%}", flush=True)

    rows = cache.rows("image")
    task = search_task(rows, make_split(rows.tracks(), folds=1, test_fraction=0.2, seed=0))
    fold = task.folds[0]
    rng = np.random.default_rng(0)
    train = np.sort(rng.permutation(fold.train)[: options.pictures])
    valid = np.sort(rng.permutation(fold.valid)[: options.pictures // 3])
    task = dataclasses.replace(task, folds=(Fold(train, valid),))
    family = spaces.get("vgg16_transfer").for_search(rows.X.shape[1:], weights=options.weights)
    config = {**family.baseline(options.epochs), "penalty": "none", "epochs": options.epochs}
    print(f"head on VGG16: {len(train)} training images, {len(valid)} validation images")
    family.learner(config, task, seed=0)
    head = timed(lambda: family.learner(config, task, seed=0), options.epochs, task)
    print(
        f"  head on cached outputs  {head[0]:8.2f} s  further epochs {head[1]:7.3f} s  correct {head[2]:.1%}"
    )
    full = timed(lambda: whole_backbone(config, task), options.epochs, task)
    print(
        f"  backbone each epoch     {full[0]:8.2f} s  further epochs {full[1]:7.3f} s  correct {full[2]:.1%}"
    )
    print(f"  head / backbone: trial 1/{full[0] / head[0]:.0f}, further epochs 1/{full[1] / head[1]:.0f}")


if __name__ == "__main__":
    main()
