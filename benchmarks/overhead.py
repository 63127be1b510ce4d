"""Overhead per trial beyond its training: this search, and a plain function trainable with Tune's defaults.

Goals: at least eight times the trials per minute of the plain function, for the published network at 10
epochs; an overhead under 5 % of a trial of 30 s; and compilation under 3 % of the training time of a default
search. Run it with ``python -m benchmarks.overhead``. ``--trials`` and ``--plain`` set the number of trials
of each side, ``--default`` that of the default search.

The data is random, in the shape of the published table, and a fifth of it is held out. Both sides run two
trials at a time, draw random learning rates and stop no trial early. The first trials of each side are not
counted, because processes start in them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.tables import random_cache

_EPOCHS, _AT_ONCE = 10, 2
_PUBLISHED = {
    "scaler": "standard",
    "layers": 2,
    "units_1": 58,
    "units_2": 29,
    "activation": "relu",
    "mixup": 0.0,
    "normalisation": "none",
    "input_dropout": 0.0,
    "dropout": 0.0,
    "optimizer": "adam",
    "decay": False,
    "schedule": "constant",
    "batch_size": 5,
    "label_smoothing": 0.0,
    "averaging": 0.0,
    "epochs": _EPOCHS,
}


def ours(cache: str, runs: str, trials: int) -> tuple[float, float]:
    """Measure this search: trials per minute, and seconds per trial beyond its training."""
    from search import SearchSettings, run_search
    from search.storage.study import open_study

    settings = SearchSettings.checked(
        family="features_mlp",
        cache=cache,
        runs=runs,
        name="ours",
        folds=1,
        trials=trials,
        max_epochs=_EPOCHS,
        searcher="random",
        scheduler="none",
        set=_PUBLISHED,
        max_concurrent=_AT_ONCE,
        test_fraction=0.0,
    )
    study = open_study(run_search(settings))
    end_times = sorted(
        trial.datetime_complete.timestamp() for trial in study.trials if trial.datetime_complete
    )
    skipped = 2 * _AT_ONCE
    interval = (end_times[-1] - end_times[skipped - 1]) / (len(end_times) - skipped)
    training = [trial.user_attrs["seconds"] for trial in study.trials[skipped:]]
    return 60 / interval, _AT_ONCE * interval - sum(training) / len(training)


def plain(cache: str, folder: str, trials: int) -> float:
    """Measure the trials per minute of a plain solution: a function, ``Model.fit``, one report per epoch."""
    import numpy as np
    from ray import tune

    from data.cache.cache import Cache

    rows = Cache.open(cache).features
    X, y = rows.X, np.unique(rows.label, return_inverse=True)[1]
    end_times: list[float] = []

    class Times(tune.Callback):
        """Records when trials end."""

        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            end_times.append(time.time())

    def train(config: dict[str, Any], X: np.ndarray, y: np.ndarray) -> None:
        import keras

        valid = np.arange(len(y)) % 50 < 10
        scaled = (X - X[~valid].mean(axis=0)) / X[~valid].std(axis=0)
        layers = [keras.layers.Dense(units, activation="relu") for units in (58, 29)]
        model = keras.Sequential([keras.Input((57,)), *layers, keras.layers.Dense(10, activation="softmax")])
        optimizer = keras.optimizers.Adam(config["learning_rate"])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

        class Report(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                tune.report({"val_accuracy": logs["val_accuracy"]})

        model.fit(
            *(scaled[~valid], y[~valid]),
            batch_size=5,
            epochs=_EPOCHS,
            validation_data=(scaled[valid], y[valid]),
            callbacks=[Report()],
            verbose=0,
        )

    tune.Tuner(
        tune.with_parameters(train, X=X, y=y),
        param_space={"learning_rate": tune.loguniform(3e-4, 2e-2)},
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", num_samples=trials, max_concurrent_trials=_AT_ONCE
        ),
        run_config=tune.RunConfig(name="plain", storage_path=folder, verbose=0, callbacks=[Times()]),
    ).fit()
    end_times.sort()
    return 60 * (len(end_times) - _AT_ONCE) / (end_times[-1] - end_times[_AT_ONCE - 1])


def compilation(cache: str, runs: str, trials: int) -> tuple[float, float]:
    """Measure compilation: seconds per worker process, and the share of a default search's training time."""
    import spaces
    from data.cache.cache import Cache
    from data.dataset.splits import make_split
    from data.dataset.task import search_task
    from search import SearchSettings, run_search
    from search.storage.study import open_study

    settings = SearchSettings.checked(
        family="features_mlp", cache=cache, runs=runs, name="default", trials=trials, max_concurrent=_AT_ONCE
    )
    study = open_study(run_search(settings))
    training = sum(trial.user_attrs.get("seconds", 0.0) for trial in study.trials)
    family = spaces.get("features_mlp")
    family.set_up(cpus=1, gpus=False)
    rows = Cache.open(cache).features
    task = search_task(rows, make_split(rows.tracks(), folds=family.default_folds, test_fraction=0.2, seed=0))
    learner = family.learner(family.baseline(_EPOCHS), task, seed=0)
    seconds = []
    for epoch in range(3):
        started = time.process_time()
        learner.run_epoch(epoch)
        seconds.append(time.process_time() - started)
    once = seconds[0] - min(seconds[1:])
    return once, _AT_ONCE * once / training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=40, help="trials of this search")
    parser.add_argument("--plain", type=int, default=8, help="trials of the plain function")
    parser.add_argument("--default", type=int, default=40, help="trials of the default search")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import ray

    ray.init(
        address="local",
        num_cpus=_AT_ONCE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    with tempfile.TemporaryDirectory() as folder:
        cache = random_cache(Path(folder) / "cache")
        # The plain function keeps Tune's defaults; the search turns off those that it does not need.
        per_minute_plain = plain(cache, folder, options.plain)
        per_minute, beyond = ours(cache, folder, options.trials)
        once, share = compilation(cache, folder, options.default)
    ray.shutdown()
    print(f"published network, {_EPOCHS} epochs, two at a time; trials per minute without the first trials")
    print(f"plain function trainable {per_minute_plain:7.1f}   ({options.plain} trials)")
    print(f"this search              {per_minute:7.1f}   ({options.trials} trials)")
    print(f"ratio                    {per_minute / per_minute_plain:7.1f}   (goal: 8)")
    print(f"overhead per trial: {beyond:.2f} s, {beyond / 30:.1%} of a trial of 30 s   (goal: under 5 %)")
    print(
        f"compilation: {once:.2f} s of processor time per worker, {share:.1%} of the training time of a"
        f" default search of {options.default} trials   (goal: under 3 %)"
    )


if __name__ == "__main__":
    main()
