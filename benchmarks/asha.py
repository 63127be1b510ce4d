"""Epochs and seconds until a search reaches a grid's best accuracy, with ASHA and without early stopping.

Goals: ASHA reaches the grid's best score in under 1/20 of the grid's time. ASHA trains at most 1/4 of the
epochs that the same number of trials takes without early stopping.

Run it with ``python -m benchmarks.asha --features-csv features_30_sec.csv``, GTZAN's published table. Several
seeds are run, because chance decides when a search first reaches a score.

The grid is as large as the study's: 54 configurations x 5 folds, 30 epochs each. It combines three widths of
the first layer, two of the second, three batch sizes and three learning rates. This project's compiled folds
compute its scores, on the split of each seed. Its time is measured with ``Model.fit``, one fit after the
other; the searches run two trials at a time. By default, only the first fold of every configuration is timed
and its time is multiplied by five. ``--fit-all`` times every fit.
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
_SCHEDULERS: dict[str, dict[str, float]] = {"asha": {"grace_period": 0.1, "reduction_factor": 4}, "none": {}}
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
    """Return the best validation accuracy of the grid at any epoch, over all folds."""
    import spaces
    from data.dataset.track_scores import scores, track_probabilities

    family, truth, best = spaces.get("features_mlp"), task.track_label[task.validated], 0.0
    for values in product(*_GRID.values()):
        learner = family.learner({**_COMMON, **dict(zip(_GRID, values, strict=True))}, task, seed=0)
        for epoch in range(_EPOCHS):
            probabilities = track_probabilities(task, learner.run_epoch(epoch).probabilities)
            best = max(best, scores(probabilities, truth)["val_accuracy"])
    return best


def fit_seconds(task: Any, config: dict[str, Any], fold: Any) -> float:
    """Measure the seconds of one ``Model.fit`` call with all epochs."""
    import keras

    from spaces.training.dense.scalers import apply_scaler, fit_scaler

    started = time.perf_counter()
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
    return time.perf_counter() - started


def grid_seconds(task: Any, *, fit_all: bool) -> float:
    """Measure the seconds of the grid, one fit after the other.

    By default, the first fold is timed and its time is multiplied by the number of folds.
    """
    configs = [dict(zip(_GRID, values, strict=True)) for values in product(*_GRID.values())]
    timed_folds = task.folds if fit_all else task.folds[:1]
    seconds = sum(fit_seconds(task, config, fold) for config in configs for fold in timed_folds)
    return seconds * len(task.folds) / len(timed_folds)


@dataclass(frozen=True)
class Course:
    """Scores, epochs and times of a search.

    Attributes
    ----------
    best : float
        Best validation accuracy.
    epochs : int
        Epochs of all trials; an epoch of all folds counts once.
    epochs_to, seconds_to : float
        Epochs and seconds until the target was reached; infinite if it never was.
    """

    best: float
    epochs: int
    epochs_to: float
    seconds_to: float


def search(cache: str, runs: str, scheduler: str, *, trials: int, target: float, seed: int) -> Course:
    """Run a search with or without early stopping."""
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
    started = time.time()
    study = open_study(run_search(settings))
    ended_trials = sorted(
        (trial for trial in study.trials if trial.datetime_complete),
        key=lambda trial: trial.datetime_complete.timestamp(),
    )
    scores = [trial.user_attrs.get("val_accuracy", 0.0) for trial in ended_trials]
    epochs = list(accumulate(trial.user_attrs["epochs"] for trial in ended_trials))
    first_hit = next((number for number, score in enumerate(scores) if score >= target), None)
    if first_hit is None or ended_trials[first_hit].datetime_complete is None:
        return Course(max(scores), epochs[-1], math.inf, math.inf)
    seconds = ended_trials[first_hit].datetime_complete.timestamp() - started
    return Course(max(scores), epochs[-1], epochs[first_hit], seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features-csv", required=True, help="GTZAN's published table")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fit-all", action="store_true", help="time every fit of the grid")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from data.prepare import main as prepare

    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "cache")
        prepare(["--features-csv", options.features_csv, "--cache", cache], standalone_mode=False)
        tasks = [
            features_task(cache, folds=_FOLDS, test_fraction=0.2, seed=seed) for seed in range(options.seeds)
        ]
        targets = [grid_scores(task) for task in tasks]
        seconds = grid_seconds(tasks[0], fit_all=options.fit_all)
        courses_by_scheduler = {
            scheduler: [
                search(cache, folder, scheduler, trials=options.trials, target=target, seed=seed)
                for seed, target in enumerate(targets)
            ]
            for scheduler in _SCHEDULERS
        }
    timing = "all timed" if options.fit_all else "one fold of five timed"
    best = ", ".join(f"{target:.1%}" for target in targets)
    print(f"grid: best {best}, {54 * _FOLDS} fits of {_EPOCHS} epochs, {seconds:.0f} s ({timing})")
    print(f"{options.trials} trials, {options.seeds} seeds; an epoch of all folds counts once")
    for scheduler, courses in courses_by_scheduler.items():
        for course in courses:
            print(
                f"  {scheduler:5} best {course.best:.1%}, {course.epochs} epochs; to the grid's best"
                f" {course.epochs_to:.0f} epochs, {course.seconds_to:.0f} s"
            )
    asha_seconds = median(course.seconds_to for course in courses_by_scheduler["asha"])
    print(
        f"asha reaches the grid's best: median {asha_seconds:.0f} s,"
        f" 1/{seconds / asha_seconds:.0f} of the grid's time,"
        f" 1/{seconds / asha_seconds / 2:.0f} if the grid used both cores   (goal: 1/20)"
    )
    epochs = {
        name: sum(course.epochs for course in courses) for name, courses in courses_by_scheduler.items()
    }
    print(f"epochs with / without early stopping: {epochs['asha'] / epochs['none']:.2f}   (goal: 0.25)")


if __name__ == "__main__":
    main()
