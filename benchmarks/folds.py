"""Eight folds as compiled epochs against eight careless ``Model.fit`` calls, in one run.

Goal: under 1/8 of the time. Run it with ``python -m benchmarks.folds``; the data is random, in the shape of
the published table (1,000 tracks, 57 features, 10 genres), because time does not depend on the values.
"""

from __future__ import annotations

import os
import platform
import time

import numpy as np

from data.task import Fold, Task

_FOLDS, _EPOCHS, _TRACKS, _FEATURES, _GENRES = 8, 10, 1000, 57, 10


def random_task() -> Task:
    """Return a task in the shape of the published table."""
    rng = np.random.default_rng(0)
    part = np.arange(_TRACKS) % _FOLDS
    return Task(
        X=rng.normal(size=(_TRACKS, _FEATURES)),
        y=(np.arange(_TRACKS) % _GENRES).astype(np.int32),
        track=np.arange(_TRACKS, dtype=np.int32),
        track_id=np.array([str(number) for number in range(_TRACKS)], dtype=object),
        classes=tuple(f"genre{number}" for number in range(_GENRES)),
        folds=tuple(
            Fold(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(_FOLDS)
        ),
    )


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    import spaces
    from spaces.training.scaling import apply_scaler, fit_scaler

    family, task = spaces.get("features_mlp"), random_task()
    config = family.baseline(_EPOCHS)

    start = time.perf_counter()
    learner = family.learner(config, task, seed=0)
    learner.run_epoch(0)
    first = time.perf_counter() - start
    for epoch in range(1, _EPOCHS):
        learner.run_epoch(epoch)
    ours = time.perf_counter() - start
    steady = (ours - first) / (_EPOCHS - 1)

    start = time.perf_counter()
    for fold in task.folds:
        scaler = fit_scaler("standard", task.X[fold.train])
        model = keras.Sequential(
            [
                keras.Input((_FEATURES,)),
                keras.layers.Dense(58, activation="relu"),
                keras.layers.Dense(29, activation="relu"),
                keras.layers.Dense(_GENRES, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(
            apply_scaler(scaler, task.X[fold.train]),
            task.y[fold.train],
            batch_size=5,
            epochs=_EPOCHS,
            validation_data=(apply_scaler(scaler, task.X[fold.valid]), task.y[fold.valid]),
            verbose=0,
        )
    theirs = time.perf_counter() - start

    print(f"Python {platform.python_version()}, TensorFlow {tf.__version__}, {os.cpu_count()} cores")
    print(f"{_FOLDS} folds x {_EPOCHS} epochs, the published network, batch 5:")
    print(f"  eight fit calls          {theirs:8.2f} s")
    print(f"  compiled, compilation in {ours:8.2f} s   1/{theirs / ours:.1f}")
    print(f"  compiled, an epoch more  {steady:8.2f} s   1/{theirs / _EPOCHS / steady:.1f}")


if __name__ == "__main__":
    main()
