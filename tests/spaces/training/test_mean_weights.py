from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from data.dataset.splits import make_split
from data.dataset.task import Task, refit_task
from spaces.training.convolution.learner import TensorFolds
from spaces.training.convolution.recipe import Recipe, Stage
from spaces.training.family import EpochOutcome, Fitted, Learner
from spaces.training.mean_weights import fitted_mean
from tests.support.rows import make_rows
from tests.support.softmax import FAMILY

EPOCHS = 4


def refit_rows() -> Task:
    rows = make_rows(tracks=6)
    return refit_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0))


def network() -> keras.Model:
    inputs = keras.Input((57,))
    x = keras.layers.Dense(4, name="hidden")(inputs)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(3, dtype="float32", name="logits")(x))


def make_learner(kind: str) -> Learner:
    task = refit_rows()
    if kind == "numpy":
        return FAMILY.learner({**FAMILY.BASELINE, "epochs": EPOCHS}, task, seed=0)
    recipe = Recipe(
        stages=(Stage(EPOCHS, 1e-2),),
        optimizer="adam",
        batch_size=8,
        schedule="constant",
        weight_decay=0.0,
        label_smoothing=0.0,
    )
    return TensorFolds(network, recipe, task, seed=0)


@pytest.mark.parametrize("kind", ["numpy", "keras"])
def test_the_weights_are_the_mean_of_the_last_epochs(kind: str) -> None:
    learner = make_learner(kind)
    by_epoch = []
    for epoch in range(EPOCHS):
        learner.run_epoch(epoch)
        by_epoch.append(learner.fitted().model.get_weights())
    for window, first in ((1, 3), (3, 1), (9, 0)):
        fitted = fitted_mean(make_learner(kind), epochs=EPOCHS, window=window)
        for weights, *values in zip(fitted.model.get_weights(), *by_epoch[first:], strict=True):
            np.testing.assert_allclose(weights, np.mean(values, axis=0), atol=1e-6)


class Frozen(Learner):
    """A network whose weights training does not change."""

    def __init__(self) -> None:
        self._weights = [np.random.default_rng(0).normal(size=50).astype(np.float32)]

    def run_epoch(self, epoch: int) -> EpochOutcome:
        return EpochOutcome(0.0, 0.0, ())

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None: ...

    def fitted(self, fold: int = 0) -> Fitted:
        model: Any = SimpleNamespace(
            get_weights=lambda: self._weights, set_weights=lambda values: setattr(self, "_weights", values)
        )
        return Fitted(model, {})


def test_frozen_weights_stay_exactly_equal() -> None:
    learner = Frozen()
    (expected,) = learner.fitted().model.get_weights()
    (weights,) = fitted_mean(learner, epochs=11, window=7).model.get_weights()
    assert (weights.astype(np.float32) == expected).all()
