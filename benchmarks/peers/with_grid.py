"""Run the grid search of tutorials: 54 configurations of the published network, by plain `Model.fit`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.peers.job import FOLDS, WORKERS, job_from_arguments, start_workers, worker_number

GRID = {
    "batch_size": (5, 10, 20),
    "epochs": (50, 100, 150),
    "init": ("glorot_uniform", "random_normal", "random_uniform"),
    "optimizer": ("rmsprop", "adam"),
}


def configurations() -> list[dict[str, Any]]:
    """Return the grid in scikit-learn's order: parameters sorted by name, the last one varies fastest."""
    return [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]


def score(arrays: dict[str, np.ndarray], config: dict[str, Any]) -> float:
    """Cross-validate a configuration; return the accuracy of the pooled held-out predictions."""
    import keras

    correct = 0
    for number in range(FOLDS):
        train, valid = arrays["fold"] != number, arrays["fold"] == number
        X, y = arrays["standard"][number], arrays["y"]
        keras.backend.clear_session()
        model = keras.Sequential(
            [
                keras.Input((X.shape[1],)),
                keras.layers.Dense(58, activation="relu", kernel_initializer=config["init"]),
                keras.layers.Dense(29, activation="relu", kernel_initializer=config["init"]),
                keras.layers.Dense(10, activation="softmax", kernel_initializer=config["init"]),
            ]
        )
        model.compile(config["optimizer"], "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(X[train], y[train], epochs=config["epochs"], batch_size=config["batch_size"], verbose=0)
        correct += int((model.predict(X[valid], verbose=0).argmax(axis=1) == y[valid]).sum())
    return correct / len(arrays["y"])


def main() -> None:
    job, worker = job_from_arguments(), worker_number()
    if worker is None:
        for process in start_workers("benchmarks.peers.with_grid", job):
            process.wait()
        return
    import keras

    keras.utils.set_random_seed(job.seed)
    arrays = job.arrays()
    for number, config in list(enumerate(configurations()))[worker::WORKERS]:
        job.report(number, config["epochs"], score(arrays, config))


if __name__ == "__main__":
    main()
