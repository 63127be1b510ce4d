"""A learner whose folds fit in memory: each with its own weights, scaler and data, all on the device."""

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
from spaces.training.family import (
    STATE_FORMAT,
    STATE_FORMAT_KEY,
    EpochOutcome,
    Fitted,
    Learner,
    check_state_format,
    other_network,
)
from spaces.training.learning_rates import learning_rates

"""Version of the checkpoint's layout; the first had none and held the variables of Keras's optimizers."""

_kept: list[tuple[Task, dict[str, list[Scaler]]]] = []
"""The scalers of one task, by name: trials share it, and a fit by powers takes longer than many epochs."""


def _fitted_scalers(name: str, task: Task) -> list[Scaler]:
    """Scalers of all folds, each fitted on its training rows, once a process."""
    if not _kept or _kept[0][0] is not task:
        _kept[:] = [(task, {})]
    found = _kept[0][1]
    if name not in found:
        found[name] = [fit_scaler(name, task.X[fold.train]) for fold in task.folds]
    return found[name]


@dataclass(frozen=True)
class Recipe:
    """How a configuration is trained, apart from its architecture.

    Attributes
    ----------
    scaler : str
        One of `spaces.training.dense.scalers.SCALERS`.
    batch_size : int
        Most rows per step.
    optimizer : str
        One of `spaces.training.learning_rates.OPTIMIZERS`.
    schedule : str
        One of `spaces.training.learning_rates.SCHEDULES`.
    learning_rate : float
        Peak of the schedule.
    epochs : int
        Horizon of the schedule.
    averaging : float
        Share of the weights' moving average that each epoch keeps (Izmailov et al., 2018); 0 for none.
    knobs : Knobs
        The rest.
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
    """Networks on scaled feature rows.

    Parameters
    ----------
    architecture : Architecture
        The network, of any input width.
    recipe : Recipe
        How to train.
    task : Task
        Rows and folds.
    seed : int
        Seed of weights, shuffling and noise.
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
        self._compiled = compiled_epoch(len(architecture.units), architecture.normalisation)
        self._recipe = recipe
        self._seed = seed
        self._scalers = _fitted_scalers(recipe.scaler, task)
        self._sizes = [len(fold.train) for fold in task.folds]
        self._valid_sizes = [len(fold.valid) for fold in task.folds]
        self._x = self._stacked(task, [fold.train for fold in task.folds])
        self._x_valid = self._stacked(task, [fold.valid for fold in task.folds])
        y = np.full(self._x.shape[:2], -1, dtype=np.int32)
        for number, fold in enumerate(task.folds):
            y[number, : len(fold.train)] = task.y[fold.train]
        self._y = tf.constant(y)
        weights = [task.loss_weights(fold) for fold in task.folds]
        self._class_weights = np.array(weights) if task.class_weight != "none" else None
        self._state = self._compiled.initial_state(architecture, self._fold_seeds(INITIAL))
        self.n_parameters = architecture.n_parameters

    def _stacked(self, task: Task, rows: list[np.ndarray]) -> tf.Tensor:
        """Scaled rows of each fold by its own scaler, filled up with zeros to the largest fold."""
        stacked = np.zeros((len(rows), max(map(len, rows)), task.X.shape[1]), dtype=np.float32)
        for number, (scaler, chosen) in enumerate(zip(self._scalers, rows, strict=True)):
            # A fit on all rows validates on none, and scikit-learn scales no empty array.
            if len(chosen):
                stacked[number, : len(chosen)] = apply_scaler(scaler, task.X[chosen])
        return tf.constant(stacked)

    def _fold_seeds(self, purpose: int) -> list[int]:
        return [mixed_seed(self._seed, fold, purpose) for fold in range(len(self._sizes))]

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and judge its validation rows."""
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
            # The first epochs are averaged evenly, so that the initial weights leave no trace.
            keep=min(recipe.averaging, epoch / (epoch + 1)),
            activation=self._architecture.activation,
            optimizer=recipe.optimizer,
            knobs=recipe.knobs,
            class_weights=self._class_weights,
        )
        judged = tuple(probabilities[fold, :size] for fold, size in enumerate(self._valid_sizes))
        return EpochOutcome(float(loss.mean()), float(accuracy.mean()), judged)

    def state(self) -> dict[str, np.ndarray]:
        """All variables, by their position, and the format of this state."""
        arrays = {str(position): value.numpy() for position, value in enumerate(self._state)}
        return {STATE_FORMAT_KEY: STATE_FORMAT, **arrays}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises
        ------
        RunError
            If the state has another format, other variables, or variables of other shapes.
        """
        check_state_format(state)
        expected = {name: value.shape for name, value in self.state().items()}
        if {name: value.shape for name, value in state.items()} != expected:
            raise other_network()
        self._state = tuple(tf.constant(state[str(position)]) for position in range(len(self._state)))

    def fitted(self, fold: int = 0) -> Fitted:
        """Return the network of a fold as it is now, with its scaler."""
        knobs = self._recipe.knobs
        model = self._architecture.keras_model(input_dropout=knobs.input_dropout, dropout=knobs.dropout)
        model.set_weights(self._compiled.judged_weights(self._state, fold))
        return Fitted(model, {"scaler": self._scalers[fold]})
