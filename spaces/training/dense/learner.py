"""Learner of dense networks: all folds train together, each with its own weights, scaler and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from data.dataset.task import Task
from spaces.training.batching import INITIAL, deal_batches, mixed_seed
from spaces.training.dense.epoch import Knobs, compiled_epoch
from spaces.training.dense.network import Architecture
from spaces.training.dense.scalers import Scaler, apply_scaler, fit_scaler
from spaces.training.dense.weights import MAX_LAYERS
from spaces.training.family import (
    STATE_FORMAT_KEY,
    EpochOutcome,
    Fitted,
    Learner,
    check_state_format,
    network_mismatch,
)
from spaces.training.learning_rates import learning_rates

_STATE_FORMAT = np.array(3)
"""Version of the layout of `ScaledFolds.state`; 3 is the one of `spaces.training.dense.weights`."""

_scalers_of_task: list[tuple[Task, dict[str, list[Scaler]]]] = []
"""The latest task with its scalers by name. Trials share them: some fits take longer than many epochs."""


def _fitted_scalers(name: str, task: Task) -> list[Scaler]:
    """Return the scaler of each fold, fitted on its training rows once per process."""
    if not _scalers_of_task or _scalers_of_task[0][0] is not task:
        _scalers_of_task[:] = [(task, {})]
    scalers = _scalers_of_task[0][1]
    if name not in scalers:
        scalers[name] = [fit_scaler(name, task.X[fold.train]) for fold in task.folds]
    return scalers[name]


@dataclass(frozen=True)
class Recipe:
    """Training parameters of a configuration.

    Attributes
    ----------
    scaler : str
        One of `spaces.training.dense.scalers.SCALERS`.
    batch_size : int
        Maximum number of rows per step.
    optimizer : str
        One of `spaces.training.learning_rates.OPTIMIZERS`.
    schedule : str
        One of `spaces.training.learning_rates.SCHEDULES`.
    learning_rate : float
        Peak of the schedule.
    epochs : int
        Horizon of the schedule.
    averaging : float
        Fraction of the previous average in each epoch's average of the weights (Izmailov et al., 2018); 0
        disables averaging.
    knobs : Knobs
        Further parameters.
    """

    scaler: str
    batch_size: int
    optimizer: str
    schedule: str
    learning_rate: float
    epochs: int
    averaging: float
    knobs: Knobs


class ScaledFolds(Learner):
    """Dense networks on scaled rows, one per fold.

    Parameters
    ----------
    architecture : Architecture
        The network.
    recipe : Recipe
        Training parameters.
    task : Task
        Rows and folds.
    seed : int
        Seed of initial weights, shuffling and noise.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        task: Task,
        *,
        seed: int,
    ) -> None:
        self._architecture = architecture
        self._compiled = compiled_epoch(max(MAX_LAYERS, len(architecture.units)))
        self._recipe = recipe
        self._seed = seed
        self._scalers = _fitted_scalers(recipe.scaler, task)
        self._sizes = [len(fold.train) for fold in task.folds]
        self._valid_sizes = [len(fold.valid) for fold in task.folds]
        self._x = self._stacked(task, [fold.train for fold in task.folds])
        self._x_valid = self._stacked(task, [fold.valid for fold in task.folds])
        y = np.full(self._x.shape[:2], -1, dtype=np.int64)
        for number, fold in enumerate(task.folds):
            y[number, : len(fold.train)] = task.y[fold.train]
        self._y = tf.constant(y)
        weights = [task.loss_weights(fold) for fold in task.folds]
        self._class_weights = np.array(weights) if task.class_weight != "none" else None
        self._state = self._compiled.initial_state(architecture, self._fold_seeds(INITIAL))
        self.n_parameters = architecture.n_parameters

    def _stacked(self, task: Task, rows: list[np.ndarray]) -> tf.Tensor:
        """Scale the rows of each fold with its own scaler; pad with zeros to the largest fold."""
        stacked = np.zeros((len(rows), max(map(len, rows)), task.X.shape[1]), dtype=np.float32)
        for number, (scaler, fold_rows) in enumerate(zip(self._scalers, rows, strict=True)):
            # A refit on all rows has no validation rows, and scikit-learn refuses empty arrays.
            if len(fold_rows):
                stacked[number, : len(fold_rows)] = apply_scaler(scaler, task.X[fold_rows])
        return tf.constant(stacked)

    def _fold_seeds(self, purpose: int) -> list[int]:
        return [mixed_seed(self._seed, fold, purpose) for fold in range(len(self._sizes))]

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and predict its validation rows."""
        recipe = self._recipe
        batches = deal_batches(self._sizes, recipe.batch_size, self._fold_seeds(epoch))
        rates = learning_rates(
            recipe.schedule,
            recipe.learning_rate,
            epoch=epoch,
            epochs=recipe.epochs,
            steps=len(batches.rows),
        )
        self._state, loss, accuracy, probabilities = self._compiled.run(
            self._state,
            self._x,
            self._y,
            self._x_valid,
            batches=batches,
            rates=rates,
            seed=(mixed_seed(self._seed, epoch), epoch),
            # The first epochs have equal weights, so that the initial weights do not enter the average.
            keep=min(recipe.averaging, epoch / (epoch + 1)),
            architecture=self._architecture,
            optimizer=recipe.optimizer,
            knobs=recipe.knobs,
            class_weights=self._class_weights,
        )
        by_fold = tuple(probabilities[fold, :size] for fold, size in enumerate(self._valid_sizes))
        return EpochOutcome(float(loss.mean()), float(accuracy.mean()), by_fold)

    def state(self) -> dict[str, np.ndarray]:
        """Return all variables by their position, and the format of this state."""
        arrays = {str(position): value.numpy() for position, value in enumerate(self._state)}
        return {STATE_FORMAT_KEY: _STATE_FORMAT, **arrays}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state that `state` returned.

        Raises
        ------
        RunError
            If the state has another format, other variables, or variables of other shapes.
        """
        check_state_format(state, _STATE_FORMAT)
        expected = {name: value.shape for name, value in self.state().items()}
        if {name: value.shape for name, value in state.items()} != expected:
            raise network_mismatch()
        self._state = tuple(tf.constant(state[str(position)]) for position in range(len(self._state)))

    def fitted(self, fold: int = 0) -> Fitted:
        """Return the current network of a fold, with its scaler."""
        knobs = self._recipe.knobs
        model = self._architecture.keras_model(input_dropout=knobs.input_dropout, dropout=knobs.dropout)
        model.set_weights(self._compiled.evaluation_weights(self._architecture, self._state, fold))
        return Fitted(model, {"scaler": self._scalers[fold]})
