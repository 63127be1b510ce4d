"""A learner whose folds fit in memory: each with its own weights, scaler and data, all on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from data.errors import RunError
from data.task import Task
from spaces.training.epoch import CompiledEpoch, Knobs, State, epoch_seed, fold_seed
from spaces.training.family import EpochOutcome, Fitted, Learner
from spaces.training.scaling import apply_scaler, fit_scaler
from spaces.training.schedule import learning_rates


@dataclass(frozen=True)
class Recipe:
    """How a configuration is trained, apart from its architecture.

    Attributes
    ----------
    scaler : str
        One of `spaces.training.scaling.SCALERS`.
    batch_size : int
        Rows a step.
    schedule : str
        One of `spaces.training.schedule.SCHEDULES`.
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
    schedule: str
    learning_rate: float
    epochs: int
    averaging: float
    knobs: Knobs


class ScaledFolds(Learner):
    """Networks on scaled feature rows.

    Parameters
    ----------
    compiled : CompiledEpoch
        The architecture; it may be shared with other learners of the process.
    export : callable
        Gives the plain Keras model of the same architecture, softmax included.
    recipe : Recipe
        How to train.
    task : Task
        Rows and folds.
    seed : int
        Seed of weights, shuffling and noise.
    """

    def __init__(
        self,
        compiled: CompiledEpoch,
        export: Callable[[], keras.Model],
        recipe: Recipe,
        task: Task,
        *,
        seed: int,
    ) -> None:
        self._compiled = compiled
        self._export = export
        self._recipe = recipe
        self._seed = seed
        self._scalers = [fit_scaler(recipe.scaler, task.X[fold.train]) for fold in task.folds]
        self._data = [
            (
                tf.constant(apply_scaler(scaler, task.X[fold.train])),
                tf.constant(task.y[fold.train]),
                # A fit on all rows validates on none.
                tf.constant(
                    apply_scaler(scaler, task.X[fold.valid]) if len(fold.valid) else task.X[:0], tf.float32
                ),
            )
            for scaler, fold in zip(self._scalers, task.folds, strict=True)
        ]
        self._states: list[State] = [
            compiled.initial_state(fold_seed(seed, number)) for number in range(len(task.folds))
        ]
        self.n_parameters = compiled.n_parameters

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and judge its validation rows."""
        recipe = self._recipe
        losses, accuracies, probabilities = [], [], []
        for number, (x, y, x_valid) in enumerate(self._data):
            rates = learning_rates(
                recipe.schedule,
                recipe.learning_rate,
                epoch=epoch,
                epochs=recipe.epochs,
                steps=-(-len(y) // recipe.batch_size),
            )
            self._states[number], loss, accuracy, judged = self._compiled.run(
                self._states[number],
                x,
                y,
                x_valid,
                rates=rates,
                seed=epoch_seed(self._seed, number, epoch),
                # The first epochs are averaged evenly, so that the initial weights leave no trace.
                keep=min(recipe.averaging, epoch / (epoch + 1)),
                knobs=recipe.knobs,
            )
            losses.append(loss)
            accuracies.append(accuracy)
            probabilities.append(judged)
        return EpochOutcome(float(np.mean(losses)), float(np.mean(accuracies)), tuple(probabilities))

    def state(self) -> dict[str, np.ndarray]:
        """All variables, named ``fold/position``."""
        return {
            f"{fold}/{position}": value.numpy()
            for fold, values in enumerate(self._states)
            for position, value in enumerate(values)
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` gave.

        Raises
        ------
        RunError
            If the state has other variables, or variables of other shapes.
        """
        here = {name: value.shape for name, value in self.state().items()}
        if {name: value.shape for name, value in state.items()} != here:
            raise RunError("the checkpoint is of another network than the configuration builds; start anew")
        self._states = [
            tuple(tf.constant(state[f"{fold}/{position}"]) for position in range(len(values)))
            for fold, values in enumerate(self._states)
        ]

    def fitted(self, fold: int = 0) -> Fitted:
        """Return the network of a fold as it is now, with its scaler."""
        model = self._export()
        model.set_weights(self._compiled.judged_weights(self._states[fold]))
        return Fitted(model, {"scaler": self._scalers[fold]})
