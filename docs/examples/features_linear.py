"""`features_linear`: logistic regression on the features; the example of docs/adding-a-family.md.

Copy this file to ``spaces/``, and the family exists. No other file changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from data.dataset.task import Task
from spaces.training.dense.scalers import SCALERS, apply_scaler
from spaces.training.family import Config, Family, Learner

if TYPE_CHECKING:
    import optuna


class FeaturesLinear(Family):
    """A single dense layer on scaled features."""

    name: ClassVar[str] = "features_linear"
    reads: ClassVar[Literal["features", "melspec", "image"]] = "features"
    default_folds: ClassVar[int] = 5
    BASELINE: ClassVar[Config] = {
        "scaler": "standard",
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
        "batch_size": 32,
        "epochs": 20,
    }

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest a configuration; see `Family.space`."""
        trial.suggest_categorical("scaler", SCALERS)
        trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
        trial.suggest_float("weight_decay", 0.0, 0.1)
        trial.suggest_categorical("batch_size", (16, 32, 64))
        trial.suggest_int("epochs", min(20, max_epochs), max_epochs)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Build the untrained networks of a configuration, one per fold of the task."""
        from spaces.training.dense.epoch import Knobs
        from spaces.training.dense.learner import Recipe, ScaledFolds
        from spaces.training.dense.network import Architecture

        recipe = Recipe(
            scaler=config["scaler"],
            batch_size=config["batch_size"],
            optimizer="adam",
            schedule="cosine",
            learning_rate=config["learning_rate"],
            epochs=config["epochs"],
            averaging=0.0,
            knobs=Knobs(weight_decay=config["weight_decay"]),
        )
        architecture = Architecture(task.X.shape[1], len(task.classes))
        return ScaledFolds(architecture, recipe, task, seed=seed)

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Scale rows of features, shape (n, n_features); see `Family.prepare`."""
        return apply_scaler(preparation["scaler"], X)


FAMILY = FeaturesLinear()
