"""Learner of Keras networks on tensors: the folds take turns in one network, which is compiled once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from data.dataset.task import Task
from spaces.training.batching import INITIAL, deal_batches, mixed_seed
from spaces.training.convolution.recipe import Recipe, Stage
from spaces.training.convolution.steps import Predictor, TrainingSteps, prediction_model
from spaces.training.device import device_precision, dtype_policy
from spaces.training.device_data import RESIDENT_BYTES, Feed
from spaces.training.family import (
    STATE_FORMAT,
    STATE_FORMAT_KEY,
    EpochOutcome,
    Fitted,
    Learner,
    check_state_format,
    network_mismatch,
)
from spaces.training.learning_rates import learning_rates

_SAMPLE_ROWS, _SAMPLE_BYTES = 2048, 1 << 28
"""Maximum number and total size of the training rows for input statistics."""

_TENSOR_BATCH, _VECTOR_BATCH = 32, 256
"""Maximum batch sizes for predictions. Vectors have large layers, which each batch reads once."""

_STAGE = "stage"
"""Key of the current stage in a state."""


class TensorFolds(Learner):
    """Keras networks on tensors or vectors, one per fold.

    Parameters
    ----------
    build : callable
        Returns a new network of plain Keras layers. Its input has shape (height, width, channels), with the
        width of a piece, or (n_inputs,); its output are logits with ``dtype="float32"``.
    recipe : Recipe
        Training parameters.
    task : Task
        Rows and folds.
    seed : int
        Seed of initial weights, shuffling and noise.
    adapt : callable, optional
        Called with a new network and some training rows of its fold, as cached. It sets the weights that are
        computed from data, such as a mean and variance.
    resident_bytes : int
        Maximum size of inputs that are kept on the device.
    policy : str, optional
        Keras dtype policy; by default, the fastest for the device.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        recipe: Recipe,
        task: Task,
        *,
        seed: int,
        adapt: Callable[[keras.Model, np.ndarray], None] | None = None,
        resident_bytes: int = RESIDENT_BYTES,
        policy: str | None = None,
    ) -> None:
        # Networks of earlier trials are in reference cycles and occupy memory of the GPU until collected.
        gc.collect()
        self._build, self._recipe, self._task, self._seed = build, recipe, task, seed
        self._adapt, self._resident_bytes = adapt, resident_bytes
        self.precision = policy or device_precision()
        self._feed = Feed(task.X, resident_bytes=resident_bytes)
        self._initial: list[list[np.ndarray]] = []
        n_sampled = min(_SAMPLE_ROWS, max(1, _SAMPLE_BYTES * len(task.X) // max(1, task.X.nbytes)))
        for number, fold in enumerate(task.folds):
            keras.utils.set_random_seed(mixed_seed(seed, number, INITIAL))
            with dtype_policy(self.precision):
                model = build()
            if adapt is not None:
                positions = np.unique(np.linspace(0, len(fold.train) - 1, n_sampled).astype(np.int64))
                adapt(model, task.X[fold.train[positions]])
            self._initial.append(model.get_weights())
            if number == 0:
                self._core = model
        weights = self._core.weights
        # Seeds of dropout layers: set in every epoch, and therefore not part of the state.
        self._noise = [
            variable for variable in self._core.variables if not any(variable is weight for weight in weights)
        ]
        self._predictor = Predictor(self._core, recipe.pieces)
        largest_fold = max(1, *(len(fold.valid) for fold in task.folds))
        # One batch size for all folds, so that it is compiled once; chosen for a small remainder.
        limit = _VECTOR_BATCH if len(task.X.shape) == 2 else _TENSOR_BATCH
        self._prediction_batch = -(-largest_fold // -(-largest_fold // limit))
        self._weights = [[tf.constant(value) for value in values] for values in self._initial]
        # The fold whose variables are in the network and the optimizer. Until the next `_save_active`, its
        # entries of `_weights` and `_optimizers` are out of date.
        self._active: int | None = None
        self.n_parameters = max(self._count_trainable(stage) for stage in recipe.stages)
        self._stage = -1
        self._enter(0)

    def _count_trainable(self, stage: Stage) -> int:
        """Return the number of values that a stage trains."""
        if stage.unfreeze is not None:
            stage.unfreeze(self._core)
        return int(sum(np.prod(variable.shape) for variable in self._core.trainable_variables))

    def _enter(self, stage: int) -> None:
        """Begin a stage: set what is trainable, and create a new optimizer."""
        if stage == self._stage:
            return
        self._save_active()
        self._active = None
        self._stage = stage
        unfreeze = self._recipe.stages[stage].unfreeze
        if unfreeze is not None:
            unfreeze(self._core)
        with dtype_policy(self.precision):
            self._steps = TrainingSteps(
                self._core,
                self._recipe.optimizer,
                weight_decay=self._recipe.weight_decay,
                label_smoothing=self._recipe.label_smoothing,
                augment=self._recipe.augment,
            )
        initial = [tf.identity(variable) for variable in self._steps.variables]
        self._optimizers = [initial for _ in self._weights]

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and predict its validation rows."""
        stage, stage_epoch = self._stage_of(epoch)
        self._enter(stage)
        outcomes = [self._train(fold, epoch, stage_epoch) for fold in range(len(self._weights))]
        losses, accuracies, probabilities = zip(*outcomes, strict=True)
        return EpochOutcome(float(np.mean(losses)), float(np.mean(accuracies)), tuple(probabilities))

    def _stage_of(self, epoch: int) -> tuple[int, int]:
        """Return the stage of an epoch, and the number of the epoch within the stage."""
        for number, stage in enumerate(self._recipe.stages[:-1]):
            if epoch < stage.epochs:
                return number, epoch
            epoch -= stage.epochs
        return len(self._recipe.stages) - 1, epoch

    def _train(self, number: int, epoch: int, stage_epoch: int) -> tuple[float, float, np.ndarray]:
        """Train a fold for one epoch; return loss, accuracy and validation probabilities."""
        recipe, fold, stage = self._recipe, self._task.folds[number], self._recipe.stages[self._stage]
        seed = mixed_seed(self._seed, number, epoch)
        self._activate(number)
        for position, variable in enumerate(self._noise):
            variable.assign([mixed_seed(seed, position), 0])
        batches = deal_batches([len(fold.train)], recipe.batch_size, [seed])
        rows, counts = fold.train[batches.rows[:, 0]], batches.counts[:, 0]
        rates = learning_rates(
            recipe.schedule, stage.learning_rate, epoch=stage_epoch, epochs=stage.epochs, steps=len(rows)
        )
        weights = self._task.loss_weights(fold)
        class_weights = None if weights is None else tf.constant(weights)
        loss, correct = 0.0, 0.0
        for data, places, steps in self._feed.pieces(rows):
            piece_loss, piece_correct = self._steps.run(
                data,
                tf.constant(places),
                tf.constant(self._task.y[rows[steps]], tf.int64),
                tf.constant(counts[steps]),
                tf.constant(rates[steps]),
                tf.constant((seed, epoch), tf.int32),
                tf.constant(steps.start, tf.int32),
                class_weights,
            )
            loss += float(piece_loss)
            correct += float(piece_correct)
        return loss / len(rows), correct / float(counts.sum()), self._predict(fold.valid)

    def _activate(self, number: int) -> None:
        """Assign the variables of a fold to the network and the optimizer, unless they are there already."""
        if self._active == number:
            return
        self._save_active()
        for variable, value in zip(self._core.weights, self._weights[number], strict=True):
            variable.assign(value)
        for variable, value in zip(self._steps.variables, self._optimizers[number], strict=True):
            variable.assign(value)
        self._active = number

    def _save_active(self) -> None:
        """Copy the variables of the active fold from the network and the optimizer."""
        if self._active is not None:
            self._weights[self._active] = [tf.identity(weight.value) for weight in self._core.weights]
            self._optimizers[self._active] = [tf.identity(variable) for variable in self._steps.variables]

    def _predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows with the current network: float32, shape (n_rows, n_classes)."""
        batches = np.resize(rows, (-(-len(rows) // self._prediction_batch), self._prediction_batch))
        probabilities = [
            self._predictor.run(data, tf.constant(places)).numpy()
            for data, places, _ in self._feed.pieces(batches)
        ]
        # Without rows, the result is this empty array.
        empty = np.empty((0, self._core.output_shape[-1]), dtype=np.float32)
        return np.concatenate([empty, *probabilities])[: len(rows)]

    def in_full_precision(self) -> TensorFolds | None:
        """Return an untrained copy that computes in float32; None if this learner already does."""
        if self.precision == "float32":
            return None
        return TensorFolds(
            self._build,
            self._recipe,
            self._task,
            seed=self._seed,
            adapt=self._adapt,
            resident_bytes=self._resident_bytes,
            policy="float32",
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights that training has changed, and the optimizer's variables, by fold."""
        self._save_active()
        state: dict[str, np.ndarray] = {STATE_FORMAT_KEY: STATE_FORMAT, _STAGE: np.array(self._stage)}
        for number, initial in enumerate(self._initial):
            for position, (tensor, built) in enumerate(zip(self._weights[number], initial, strict=True)):
                value = tensor.numpy()
                # Frozen weights are large, and building the network again restores them.
                if not np.array_equal(value, built):
                    state[f"{number}.weight.{position}"] = value
            for position, tensor in enumerate(self._optimizers[number]):
                state[f"{number}.optimizer.{position}"] = tensor.numpy()
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state that `state` returned.

        Raises
        ------
        RunError
            If the state has other variables, or variables of other shapes.
        """
        check_state_format(state)
        if _STAGE not in state or int(state[_STAGE]) >= len(self._recipe.stages):
            raise network_mismatch()
        self._enter(int(state[_STAGE]))
        expected = {
            f"{number}.{kind}.{position}": value.shape
            for kind, by_fold in (("weight", self._weights), ("optimizer", self._optimizers))
            for number, values in enumerate(by_fold)
            for position, value in enumerate(values)
        }
        required = {name for name in expected if ".optimizer." in name}
        shapes = {
            name: value.shape for name, value in state.items() if name not in (_STAGE, STATE_FORMAT_KEY)
        }
        if not required <= set(shapes) or any(expected.get(name) != shape for name, shape in shapes.items()):
            raise network_mismatch()
        self._active = None
        for number, initial in enumerate(self._initial):
            self._weights[number] = [
                tf.constant(state.get(f"{number}.weight.{position}", value))
                for position, value in enumerate(initial)
            ]
            self._optimizers[number] = [
                tf.constant(state[f"{number}.optimizer.{position}"])
                for position in range(len(self._optimizers[number]))
            ]

    def fitted(self, fold: int = 0) -> Fitted:
        """Return the current network of a fold in float32, from cached rows to probabilities."""
        self._save_active()
        with dtype_policy("float32"):
            core = self._build()
            core.set_weights([value.numpy() for value in self._weights[fold]])
            model = prediction_model(core, self._task.X.shape[1:], self._recipe.pieces)
        return Fitted(model, {})
