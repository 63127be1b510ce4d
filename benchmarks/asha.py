"""Epochs and seconds to a given validation accuracy: ASHA, no early stopping, and a grid fitted by Keras.

Goals: the grid's best score in under 1/20 of its time, and at most 1/4 of the epochs of no stopping for as
many trials. Run it with ``python -m benchmarks.asha --features-csv features_30_sec.csv``, GTZAN's published
table. When a search first reaches a score is a matter of luck, so there are several seeds. The grid has
the size of the study's own, 54 configurations x 5 folds, 30 epochs each: two widths of each of two layers and
one more of the first (6), three batch sizes and three learning rates. Its scores are computed by this
project's compiled folds, on each seed's own split; its time is that of ``Model.fit`` of the first fold of
every configuration, times five, unless ``--fit-all`` times every fit: one fit after the other, where the
searches have two trials at a time.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.tables import features_task

_FOLDS, _EPOCHS = 5, 30
_SCHEDULERS: dict[str, dict[str, int]] = {"asha": {"grace_period": 3, "reduction_factor": 4}, "none": {}}
_GRID = {
    "units_1": (58, 128, 256),
    "units_2": (29, 64),
    "batch_size": (5, 16, 32),
    "learning_rate": (3e-4, 1e-3, 3e-3),
}
_COMMON = {
    "scaler": "standard",
    "layers": 2,
    "activation": "relu",
    "normalisation": "none",
    "input_dropout": 0.0,
    "dropout": 0.0,
    "optimizer": "adam",
    "schedule": "constant",
    "decay": False,
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "averaging": 0.0,
    "epochs": _EPOCHS,
}


def grid_scores(task: Any) -> float:
    """Best validation accuracy of the grid at any epoch, all folds together."""
    import spaces
    from data.dataset.track_scores import scores, track_probabilities

    family, truth, best = spaces.get("features_mlp"), task.track_label[task.validated], 0.0
    for values in product(*_GRID.values()):
        learner = family.learner({**_COMMON, **dict(zip(_GRID, values, strict=True))}, task, seed=0)
        for epoch in range(_EPOCHS):
            judged = track_probabilities(task, learner.run_epoch(epoch).probabilities)
            best = max(best, scores(judged, truth)["val_accuracy"])
    return best


def fit_seconds(task: Any, config: dict[str, Any], fold: Any) -> float:
    """Seconds of one ``Model.fit`` of all epochs."""
    import keras

    from spaces.training.dense.scalers import apply_scaler, fit_scaler

    begun = time.perf_counter()
    scaler = fit_scaler("standard", task.X[fold.train])
    layers = [keras.layers.Dense(config[name], activation="relu") for name in ("units_1", "units_2")]
    model = keras.Sequential(
        [
            keras.Input((task.X.shape[1],)),
            *layers,
            keras.layers.Dense(len(task.classes), activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(config["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        *(apply_scaler(scaler, task.X[fold.train]), task.y[fold.train]),
        batch_size=config["batch_size"],
        epochs=_EPOCHS,
        validation_data=(apply_scaler(scaler, task.X[fold.valid]), task.y[fold.valid]),
        verbose=0,
    )
    return time.perf_counter() - begun


def grid_seconds(task: Any, *, fit_all: bool) -> float:
    """Seconds of the grid, one fit after the other; of the first fold alone, times the folds, by default."""
    configs = [dict(zip(_GRID, values, strict=True)) for values in product(*_GRID.values())]
    timed = task.folds if fit_all else task.folds[:1]
    seconds = sum(fit_seconds(task, config, fold) for config in configs for fold in timed)
    return seconds * len(task.folds) / len(timed)


@dataclass(frozen=True)
class Course:
    """Outcome of a search.

    Attributes
    ----------
    best : float
        Best validation accuracy.
    epochs : int
        Epochs of all its trials, all folds together.
    epochs_to, seconds_to : float
        Epochs and seconds until the target was reached; infinite if it was not.
    """

    best: float
    epochs: int
    epochs_to: float
    seconds_to: float


def search(cache: str, runs: str, scheduler: str, *, trials: int, target: float, seed: int) -> Course:
    """Search, with early stopping or without."""
    from search import SearchSettings, run_search
    from search.storage.study import open_study

    settings = SearchSettings.checked(
        family="features_mlp",
        cache=cache,
        runs=runs,
        name=f"{scheduler}-{seed}",
        folds=_FOLDS,
        trials=trials,
        scheduler=scheduler,
        seed=seed,
        **_SCHEDULERS[scheduler],
    )
    begun = time.time()
    study = open_study(run_search(settings))
    ended = sorted(
        (trial for trial in study.trials if trial.datetime_complete),
        key=lambda trial: trial.datetime_complete.timestamp(),
    )
    scores = [trial.user_attrs.get("val_accuracy", 0.0) for trial in ended]
    epochs = list(accumulate(trial.user_attrs["epochs"] for trial in ended))
    first = next((number for number, score in enumerate(scores) if score >= target), None)
    if first is None or ended[first].datetime_complete is None:
        return Course(max(scores), epochs[-1], math.inf, math.inf)
    seconds = ended[first].datetime_complete.timestamp() - begun
    return Course(max(scores), epochs[-1], epochs[first], seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features-csv", required=True, help="GTZAN's published table")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fit-all", action="store_true", help="time every fit of the grid")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from data.prepare import main as prepare

    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "cache")
        prepare(["--features-csv", given.features_csv, "--cache", cache], standalone_mode=False)
        tasks = [
            features_task(cache, folds=_FOLDS, test_fraction=0.2, seed=seed) for seed in range(given.seeds)
        ]
        targets = [grid_scores(task) for task in tasks]
        seconds = grid_seconds(tasks[0], fit_all=given.fit_all)
        found = {
            scheduler: [
                search(cache, folder, scheduler, trials=given.trials, target=target, seed=seed)
                for seed, target in enumerate(targets)
            ]
            for scheduler in _SCHEDULERS
        }
    how = "all timed" if given.fit_all else "one fold of five timed"
    best = ", ".join(f"{target:.1%}" for target in targets)
    print(f"grid: best {best}, {54 * _FOLDS} fits of {_EPOCHS} epochs, {seconds:.0f} s ({how})")
    print(f"{given.trials} trials, {given.seeds} seeds; epochs are of all folds together")
    for scheduler, courses in found.items():
        for course in courses:
            print(
                f"  {scheduler:5} best {course.best:.1%}, {course.epochs} epochs; to the grid's best"
                f" {course.epochs_to:.0f} epochs, {course.seconds_to:.0f} s"
            )
    took = median(course.seconds_to for course in found["asha"])
    print(
        f"asha to the grid's best: median {took:.0f} s, 1/{seconds / took:.0f} of its time,"
        f" 1/{seconds / took / 2:.0f} if it had both cores   (goal: 1/20)"
    )
    epochs = {name: sum(course.epochs for course in courses) for name, courses in found.items()}
    print(f"epochs of asha / none: {epochs['asha'] / epochs['none']:.2f}   (goal: 0.25)")


if __name__ == "__main__":
    main()
