"""Run folders as a search writes them, written without a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

import spaces
from data.cache.cache import Cache
from data.cache.fingerprints import fingerprint
from data.dataset.splits import make_split
from data.dataset.task import search_task
from data.dataset.track_scores import scores, track_probabilities
from search.storage.columns import HISTORY_COLUMNS, TRIAL_COLUMNS, TRIAL_NUMBERS
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef, RunInfo

EPOCHS = 3
FAMILY = spaces.get("features_mlp")
WIDE = {"units_1": 64, "scaler": "quantile", "dropout": 0.2, "batch_size": 16}
AVERAGED = {"layers": 1, "averaging": 0.8, "batch_size": 16, "schedule": "cosine"}


def distributions() -> dict[str, Any]:
    """Optuna's distributions of the family as JSON."""
    distributions_by_name: dict[str, Any] = {}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(32):
        trial = study.ask()
        FAMILY.space(trial, EPOCHS)
        distributions_by_name |= trial.distributions
    return {
        name: json.loads(optuna.distributions.distribution_to_json(distribution))
        for name, distribution in distributions_by_name.items()
    }


def make_info(name: str, **changes: Any) -> RunInfo:
    """Content of ``run.json``, with changes."""
    content: dict[str, Any] = {
        "name": name,
        "family": "features_mlp",
        "status": "finished",
        "cache": CacheRef(uri="cache", fingerprint="0" * 64, source="audio", synthetic=False, parameters={}),
        "classes": ["blues", "disco", "metal"],
        "n_validated": 100,
        "n_test": 0,
        "folds": 2,
        "test_fraction": 0.0,
        "split_fingerprint": "5" * 64,
        "seed": 0,
        "trials": 4,
        "max_epochs": EPOCHS,
        "settings": {"searcher": "tpe", "scheduler": "asha"},
        "space": {},
        "baseline": FAMILY.baseline(EPOCHS),
        "versions": {"keras": "3"},
        "git_revision": None,
        "command_line": ["search.run"],
        "created": "2026-01-01T00:00:00+00:00",
    }
    return RunInfo.model_validate(content | changes)


def make_run(
    runs: Path,
    cache: Cache,
    name: str,
    changes: list[dict[str, Any]],
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    created: str = "2026-01-01T00:00:00+00:00",
) -> RunFolder:
    """Train one trial per set of changes to the BASELINE, and write the run's folder."""
    rows = cache.features
    split = make_split(rows.tracks(), folds=2, test_fraction=test_fraction, seed=seed)
    task = search_task(rows, split)
    run = RunFolder.at(runs, name)
    common = cache.info.model_dump(include={"fingerprint", "source", "synthetic", "parameters"})
    run.write_info(
        make_info(
            name,
            cache=CacheRef(uri=cache.folder.uri, **common),
            classes=list(task.classes),
            n_validated=len(task.validated),
            n_test=int(split.test.sum()),
            test_fraction=test_fraction,
            split_fingerprint=fingerprint([split.track_id.tolist(), split.fold.tolist()]),
            seed=seed,
            space=distributions(),
            created=created,
        )
    )
    run.write_split(split)
    trials, history = [], []
    for number, change in enumerate(changes):
        change = dict(change)
        status = change.pop("status", "COMPLETE")
        config = FAMILY.baseline(EPOCHS) | change
        if config["layers"] == 1:
            del config["units_2"]
        trial_id = f"{name}_{number:05d}"
        row: dict[str, Any] = {"trial_id": trial_id, "status": status, "epochs": 0, "seconds": 61.5}
        if status == "FAIL":
            row["error"] = "Traceback (most recent call last):\n  ...\nValueError: <too wide>\n"
        else:
            learner = FAMILY.learner(config, task, seed=seed)
            for epoch in range(EPOCHS if status == "COMPLETE" else EPOCHS - 1):
                outcome = learner.run_epoch(epoch)
                probabilities = track_probabilities(task, outcome.probabilities)
                validation = scores(probabilities, task.track_label[task.validated])
                trained = {"train_loss": outcome.train_loss, "train_accuracy": outcome.train_accuracy}
                history.append({"trial_id": trial_id, "epoch": epoch + 1, **validation, **trained})
            row |= validation | {
                "epochs": epoch + 1,
                "best_epoch": epoch + 1,
                "train_accuracy": outcome.train_accuracy,
                "params": learner.n_parameters,
            }
            genres = np.array(task.classes, dtype=object)[task.track_label[task.validated]]
            run.write_predictions(
                trial_id, task.track_id[task.validated], genres, task.classes, probabilities
            )
        trials.append(row | {f"config.{key}": value for key, value in config.items()})
    columns = [*TRIAL_COLUMNS, *sorted({key for row in trials for key in row if key.startswith("config.")})]
    frame = pd.DataFrame(trials, columns=columns).astype(dict.fromkeys(TRIAL_NUMBERS, "float64"))
    run.write_tables(frame.astype({"epochs": "int64"}), pd.DataFrame(history, columns=list(HISTORY_COLUMNS)))
    return run


def write_judgement(
    run: RunFolder, trial_id: str, right: int, n: int = 100, *, epoch: int | None = None
) -> None:
    """Write predictions for `n` tracks of blues that gets the first `right` of them right."""
    probabilities = np.tile([0.0, 1.0, 0.0], (n, 1))
    probabilities[:right] = [1.0, 0.0, 0.0]
    tracks = np.array([f"blues/{number:03d}" for number in range(n)], dtype=object)
    labels = np.full(n, "blues", dtype=object)
    run.write_predictions(trial_id, tracks, labels, ("blues", "disco", "metal"), probabilities, epoch)


def write_scores(
    runs: Path, name: str, accuracies: list[float | None], status: str = "COMPLETE", **changes: Any
) -> RunFolder:
    """Write a run that was not trained: trials with given accuracies, None for a failed one."""
    run = RunFolder.at(runs, name)
    run.write_info(make_info(name, **changes))
    accuracy = np.array([np.nan if value is None else value for value in accuracies])
    frame = pd.DataFrame(
        {
            "trial_id": [f"t{number}" for number in range(len(accuracy))],
            "status": np.where(np.isnan(accuracy), "FAIL", status),
            "epochs": 3,
            "best_epoch": np.where(np.isnan(accuracy), np.nan, 3.0),
            "val_accuracy": accuracy,
            "val_loss": 1 - accuracy,
            "val_macro_f1": accuracy,
            "train_accuracy": accuracy,
            "params": 1234.0,
            "seconds": 75.0,
            "error": None,
            "config.units_1": 58.0,
        }
    )
    run.write_tables(frame, pd.DataFrame(columns=list(HISTORY_COLUMNS)))
    return run
