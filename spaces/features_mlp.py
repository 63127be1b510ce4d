"""`features_mlp`: a dense network on the 57 features of a segment.

BASELINE is the network of the published study: Dense 58 and 29 with relu, Adam at Keras's default rate,
batches of 5, 30 epochs, standard scaling; 73.2 % on GTZAN, 8-fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from data.analysis.kinds import Kind
from data.dataset.task import Task
from spaces.training.dense.scalers import SCALERS, apply_scaler
from spaces.training.family import Config, Family, Learner
from spaces.training.learning_rates import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    import keras
    import optuna

    from spaces.training.dense.epoch import CompiledEpoch
    from spaces.training.dense.layers import FoldLayer

_INPUT_DROPOUT, _DROPOUT = "input_dropout", "dropout"

_COMPILED_AT_ONCE = 16
"""Architectures that a worker process keeps compiled."""


class Architecture(NamedTuple):
    """What must be compiled anew: everything else is an argument of the compiled epoch."""

    n_features: int
    n_classes: int
    units: tuple[int, ...]
    activation: str
    normalisation: str


class FeaturesMLP(Family):
    """Dense networks on scaled features."""

    name: ClassVar[str] = "features_mlp"
    reads: ClassVar[Kind] = "features"
    default_folds: ClassVar[int] = 5
    BASELINE: ClassVar[Config] = {
        "scaler": "standard",
        "layers": 2,
        "units_1": 58,
        "units_2": 29,
        "activation": "relu",
        "normalisation": "none",
        "input_dropout": 0.0,
        "dropout": 0.0,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "decay": False,
        "batch_size": 5,
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "averaging": 0.0,
        "epochs": 30,
    }
    # The best three of 240 random ones by their mean over four splits of 299 recordings in five styles, of
    # those that train no longer than twice the BASELINE (benchmarks/portfolio.py).
    PORTFOLIO: ClassVar[tuple[Config, ...]] = (
        {
            "scaler": "power",
            "layers": 1,
            "units_1": 204,
            "activation": "gelu",
            "normalisation": "layer",
            "input_dropout": 0.3,
            "dropout": 0.013,
            "optimizer": "adam",
            "learning_rate": 0.0194,
            "schedule": "constant",
            "decay": True,
            "weight_decay": 0.0025,
            "batch_size": 64,
            "label_smoothing": 0.15,
            "mixup": 0.24,
            "averaging": 0.8,
            "epochs": 32,
        },
        {
            "scaler": "standard",
            "layers": 1,
            "units_1": 401,
            "activation": "gelu",
            "normalisation": "layer",
            "input_dropout": 0.075,
            "dropout": 0.42,
            "optimizer": "adam",
            "learning_rate": 0.0055,
            "schedule": "constant",
            "decay": True,
            "weight_decay": 0.00028,
            "batch_size": 64,
            "label_smoothing": 0.12,
            "mixup": 0.49,
            "averaging": 0.0,
            "epochs": 35,
        },
        {
            "scaler": "power",
            "layers": 1,
            "units_1": 214,
            "activation": "relu",
            "normalisation": "layer",
            "input_dropout": 0.22,
            "dropout": 0.14,
            "optimizer": "rmsprop",
            "learning_rate": 0.00094,
            "schedule": "cosine",
            "decay": False,
            "batch_size": 64,
            "label_smoothing": 0.12,
            "mixup": 0.29,
            "averaging": 0.0,
            "epochs": 58,
        },
    )

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        # Only the first layer may be wide: it has 57 inputs, the others as many as the layer before.
        self.suggest_network(trial, scalers=SCALERS, fewest_layers=1, most_units=(768, 384, 384))
        self.suggest_training(trial, max_epochs, batch_sizes=(5, 16, 32, 64, 128))

    def suggest_network(
        self,
        trial: optuna.Trial,
        *,
        scalers: Sequence[str],
        fewest_layers: int,
        most_units: tuple[int, int, int],
    ) -> None:
        """Suggest the scaling and a network of up to three layers; without any, it is linear."""
        trial.suggest_categorical("scaler", scalers)
        layers = trial.suggest_int("layers", fewest_layers, len(most_units))
        for layer in range(1, layers + 1):
            trial.suggest_int(f"units_{layer}", 16, most_units[layer - 1])
        if layers:
            trial.suggest_categorical("activation", ("relu", "gelu", "silu", "tanh"))
            trial.suggest_categorical("normalisation", ("none", "batch", "layer"))
        trial.suggest_float("input_dropout", 0.0, 0.4)
        if layers:
            trial.suggest_float("dropout", 0.0, 0.6)

    def suggest_training(self, trial: optuna.Trial, max_epochs: int, *, batch_sizes: Sequence[int]) -> None:
        """Suggest how a network is trained."""
        if trial.suggest_categorical("optimizer", OPTIMIZERS) == "sgd":
            trial.suggest_float("sgd_learning_rate", 3e-3, 1e-1, log=True)
        else:
            trial.suggest_float("learning_rate", 3e-4, 2e-2, log=True)
        trial.suggest_categorical("schedule", SCHEDULES)
        if trial.suggest_categorical("decay", (False, True)):
            trial.suggest_float("weight_decay", 1e-4, 1.0, log=True)
        trial.suggest_categorical("batch_size", batch_sizes)
        trial.suggest_float("label_smoothing", 0.0, 0.3)
        trial.suggest_float("mixup", 0.0, 0.8)
        trial.suggest_categorical("averaging", (0.0, 0.8, 0.9))
        trial.suggest_int("epochs", min(30, max_epochs), max_epochs)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained networks of a configuration, one a fold of the task."""
        from spaces.training.dense.epoch import Knobs
        from spaces.training.dense.learner import Recipe, ScaledFolds

        architecture = Architecture(
            n_features=task.X.shape[1],
            n_classes=len(task.classes),
            units=tuple(config[f"units_{layer}"] for layer in range(1, config["layers"] + 1)),
            activation=config.get("activation", "linear"),
            normalisation=config.get("normalisation", "none"),
        )
        recipe = Recipe(
            scaler=config["scaler"],
            batch_size=config["batch_size"],
            schedule=config["schedule"],
            learning_rate=config["sgd_learning_rate" if config["optimizer"] == "sgd" else "learning_rate"],
            epochs=config["epochs"],
            averaging=config["averaging"],
            knobs=Knobs(
                label_smoothing=config["label_smoothing"],
                mixup=config["mixup"],
                weight_decay=config["weight_decay"] if config["decay"] else 0.0,
                dropout={name: config.get(name, 0.0) for name in (_INPUT_DROPOUT, _DROPOUT)},
            ),
        )

        def export() -> keras.Model:
            return _keras_network(architecture, config)

        compiled = _compiled(architecture, config["optimizer"], len(task.folds))
        return ScaledFolds(compiled, export, recipe, task, seed=seed)

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Scale rows of features, shape (n, 57), to float32; see `Family.prepare`."""
        return apply_scaler(preparation["scaler"], X)


def _fold_network(architecture: Architecture, n_folds: int) -> list[FoldLayer]:
    """Layers of the network with a fold axis, as far as its logits."""
    from spaces.training.dense import layers

    normalisations = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}
    stack: list[FoldLayer] = [layers.Dropout(_INPUT_DROPOUT, 1)]
    inputs = architecture.n_features
    for number, units in enumerate(architecture.units, start=2):
        stack.append(layers.Dense(n_folds, inputs, units))
        if architecture.normalisation != "none":
            stack.append(normalisations[architecture.normalisation](n_folds, units))
        stack += [layers.Activation(architecture.activation), layers.Dropout(_DROPOUT, number)]
        inputs = units
    return [*stack, layers.Dense(n_folds, inputs, architecture.n_classes)]


def _keras_network(architecture: Architecture, config: Config) -> keras.Model:
    """Build the same network for one fold, of plain Keras layers, softmax included."""
    import keras
    from keras import layers

    normalisations = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}
    inputs = keras.Input((architecture.n_features,), name="features")
    x = layers.Dropout(config[_INPUT_DROPOUT])(inputs)
    for units in architecture.units:
        x = layers.Dense(units)(x)
        if architecture.normalisation != "none":
            x = normalisations[architecture.normalisation]()(x)
        x = layers.Activation(architecture.activation)(x)
        x = layers.Dropout(config[_DROPOUT])(x)
    logits = layers.Dense(architecture.n_classes, name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="genre")(logits))


@lru_cache(maxsize=_COMPILED_AT_ONCE)
def _compiled(architecture: Architecture, optimizer: str, n_folds: int) -> CompiledEpoch:
    from spaces.training.dense.epoch import CompiledEpoch

    return CompiledEpoch(_fold_network(architecture, n_folds), optimizer, architecture.n_classes)


FAMILY = FeaturesMLP()
