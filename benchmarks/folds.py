"""Eight folds: compiled epochs over a fold axis, compiled epochs fold by fold, and ``Model.fit``, in one run.

Goal: under 1/8 of the time of the fit calls. Run it with ``python -m benchmarks.folds``. The data is random,
in the shape of the published table (1,000 tracks, 57 features, 10 genres), because the values do not affect
the time.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from data.dataset.task import Fold, Task

_FOLDS, _EPOCHS, _TRACKS, _FEATURES, _GENRES, _BATCH = 8, 10, 1000, 57, 10, 5
_SIZES = {"58-29, published": (58, 29), "512-256": (512, 256)}


def random_task() -> Task:
    """Return a task in the shape of the published table."""
    rng = np.random.default_rng(0)
    fold_of_track = np.arange(_TRACKS) % _FOLDS
    return Task(
        X=rng.normal(size=(_TRACKS, _FEATURES)),
        y=(np.arange(_TRACKS) % _GENRES).astype(np.int32),
        track=np.arange(_TRACKS, dtype=np.int32),
        track_id=np.array([str(number) for number in range(_TRACKS)], dtype=object),
        classes=tuple(f"genre{number}" for number in range(_GENRES)),
        folds=tuple(
            Fold(np.flatnonzero(fold_of_track != fold), np.flatnonzero(fold_of_track == fold))
            for fold in range(_FOLDS)
        ),
    )


def fold_axis(task: Task, units: tuple[int, int]) -> Callable[[int], object]:
    """Return an epoch as the search runs it: all folds in one batched matrix product per layer."""
    import spaces

    family = spaces.get("features_mlp")
    config = {**family.baseline(_EPOCHS), "units_1": units[0], "units_2": units[1]}
    return family.learner(config, task, seed=0).run_epoch


def fold_by_fold(task: Task, units: tuple[int, int]) -> Callable[[int], object]:
    """Return the alternative: a compiled epoch per fold, called one after the other."""
    epochs_by_fold = [fold_axis(dataclasses.replace(task, folds=(fold,)), units) for fold in task.folds]
    return lambda epoch: [run_epoch(epoch) for run_epoch in epochs_by_fold]


def fit_calls(task: Task, units: tuple[int, int]) -> float:
    """Measure the seconds of eight ``Model.fit`` calls."""
    import keras

    from spaces.training.dense.scalers import apply_scaler, fit_scaler

    start = time.perf_counter()
    for fold in task.folds:
        scaler = fit_scaler("standard", task.X[fold.train])
        layers = [keras.layers.Dense(width, activation="relu") for width in units]
        model = keras.Sequential(
            [keras.Input((_FEATURES,)), *layers, keras.layers.Dense(_GENRES, activation="softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(
            apply_scaler(scaler, task.X[fold.train]),
            task.y[fold.train],
            batch_size=_BATCH,
            epochs=_EPOCHS,
            validation_data=(apply_scaler(scaler, task.X[fold.valid]), task.y[fold.valid]),
            verbose=0,
        )
    return time.perf_counter() - start


def compiled(
    make: Callable[[Task, tuple[int, int]], Callable[[int], object]], task: Task, units: tuple[int, int]
) -> tuple[float, float]:
    """Measure the seconds of all epochs, compilation included, and of each epoch after the first."""
    start = time.perf_counter()
    run_epoch = make(task, units)
    run_epoch(0)
    first = time.perf_counter() - start
    for epoch in range(1, _EPOCHS):
        run_epoch(epoch)
    whole = time.perf_counter() - start
    return whole, (whole - first) / (_EPOCHS - 1)


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    # A trial reserves one core.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    task = random_task()
    print(f"Python {platform.python_version()}, TensorFlow {tf.__version__}, {os.cpu_count()} cores")
    print(
        f"{_FOLDS} folds x {_EPOCHS} epochs, batch {_BATCH}; seconds, and the fraction of the fit calls' time"
    )
    for name, units in _SIZES.items():
        fit_seconds = fit_calls(task, units)
        print(f"{name}\n  eight fit calls               {fit_seconds:7.2f}")
        for label, make in (("fold axis", fold_axis), ("fold by fold", fold_by_fold)):
            whole, per_epoch = compiled(make, task, units)
            print(
                f"  {label:12} with compilation {whole:7.2f}  1/{fit_seconds / whole:4.1f}"
                f"   each further epoch {per_epoch:6.3f}  1/{fit_seconds / _EPOCHS / per_epoch:4.1f}"
            )


if __name__ == "__main__":
    main()
