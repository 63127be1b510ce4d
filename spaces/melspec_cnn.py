"""`melspec_cnn`: a convolutional network on log-mel spectrograms of segments.

BASELINE is the network of the published study: three blocks of 32 filters (3 x 3, 3 x 3, 2 x 2), each with
max-pooling and batch normalisation, Dense 64, dropout 0.3, RMSprop at 1e-4; 68 % on GTZAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from data.analysis.kinds import Kind
from spaces.training.convolution.network import build, set_statistics, standardised, suggest_network
from spaces.training.convolution.recipe import recipe_of, suggest_training
from spaces.training.family import Config, Family, Learner

if TYPE_CHECKING:
    import keras
    import optuna

    from data.dataset.task import Task

_BAND, _CHANNEL = 1, -1
"""Axes whose positions each have their own mean and variance."""


class MelspecCNN(Family):
    """Convolutional networks on log-mel spectrograms."""

    name: ClassVar[str] = "melspec_cnn"
    reads: ClassVar[Kind] = "melspec"
    default_folds: ClassVar[int] = 1
    n_neighbours: ClassVar[int] = 9
    BASELINE: ClassVar[Config] = {
        "standardise": "none",
        "pieces": 1,
        "input_pooling": "none",
        "blocks": 3,
        "filters": 32,
        "growth": 1.0,
        "kernel": "square",
        "last_kernel": 2,
        "pooling": "max",
        "normalisation": "batch",
        "momentum": 0.99,
        "block_dropout": 0.0,
        "head": "flatten",
        "dense": 64,
        "dropout": 0.3,
        "batch_size": 32,
        "optimizer": "rmsprop",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "decay": False,
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "time_masks": 0,
        "frequency_masks": 0,
        "epochs": 30,
    }
    # A quarter of the BASELINE's time. On the recordings of the development half (three folds, 12 epochs, 149
    # tracks) both are equally accurate: 57.0 % and 57.7 %; pooled along time only, half of the time, 55.7 %.
    PORTFOLIO: ClassVar[tuple[Config, ...]] = ({**BASELINE, "input_pooling": "both"},)

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        # Mean and variance per mel band, over all bands, or unchanged dB.
        trial.suggest_categorical("standardise", ("band", "global", "none"))
        # Number of pieces per segment: training crops one at random, validation averages over all.
        trial.suggest_categorical("pieces", (1, 2, 4))
        trial.suggest_categorical("batch_size", (16, 32, 64))
        suggest_network(trial)
        suggest_training(trial, max_epochs)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Create the untrained networks of a configuration, one per fold of the task."""
        from spaces.training.convolution.learner import TensorFolds

        bands, frames = task.X.shape[1:]

        def network() -> keras.Model:
            return _network(config, (bands, frames // config["pieces"], 1), len(task.classes))

        recipe = recipe_of(config, pieces=config["pieces"])
        adapt = set_statistics if config["standardise"] != "none" else None
        return TensorFolds(network, recipe, task, seed=seed, adapt=adapt)

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Return cached spectrograms as float32; the network standardises them; see `Family.prepare`."""
        return np.asarray(X, dtype=np.float32)


def _network(config: Config, shape: tuple[int, int, int], n_classes: int) -> keras.Model:
    """Build the network from a spectrogram of shape (bands, frames, 1) to logits."""
    import keras

    x = inputs = keras.Input(shape, name="spectrogram")
    if config["standardise"] != "none":
        x = standardised(x, _BAND if config["standardise"] == "band" else _CHANNEL)
    return build(inputs, x, config, n_classes)


FAMILY = MelspecCNN()
