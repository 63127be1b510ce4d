"""A learner of Keras networks on tensors: its folds take turns in one network that is compiled once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from data.dataset.task import Task
from spaces.training.batching import INITIAL, deal_batches, mixed_seed
from spaces.training.convolution.steps import Augment, Judge, TrainingSteps, judging_model
from spaces.training.device import device_precision, dtype_policy
from spaces.training.device_data import RESIDENT_BYTES, Feed
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

_SAMPLE, _SAMPLE_BYTES = 2048, 1 << 28
"""Most training rows, evenly spread, that statistics of the inputs are taken from, and their size."""

_JUDGED_TENSORS = 32
"""Most rows that are judged together."""
_JUDGED_VECTORS = 256
"""The same of rows that are vectors: they are small, and what they cost is to read a large layer."""

_STAGE = "stage"
"""Keys of a state beside its variables, and the version of its layout: the first had no version."""


@dataclass(frozen=True)
class Stage:
    """Some epochs in which the same layers are trained, by one schedule and a fresh optimizer.

    Attributes
    ----------
    epochs : int
        Horizon of the schedule, and, but for the last stage, how long it lasts.
    learning_rate : float
        Peak of the schedule.
    unfreeze : callable, optional
        Sets ``trainable`` of the network's layers before the stage begins.
    """

    epochs: int
    learning_rate: float
    unfreeze: Callable[[keras.Model], None] | None = None


@dataclass(frozen=True)
class Recipe:
    """How a configuration is trained, apart from its network.

    Attributes
    ----------
    stages : tuple of Stage
        One after another; the last has no end.
    optimizer, schedule : str
        Names of `spaces.training.learning_rates`.
    batch_size : int
        Most rows of a step.
    weight_decay, label_smoothing : float
        See `TrainingSteps`.
    augment : callable, optional
        Changes each batch in the graph, such as an `Augmentation`.
    pieces : int
        Equal pieces along time that a row is cut into to be judged; trained is on pieces from anywhere.
    """

    stages: tuple[Stage, ...]
    optimizer: str
    batch_size: int
    schedule: str = "constant"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: Augment | None = None
    pieces: int = 1


class TensorFolds(Learner):
    """Networks on tensors, or on anything else that one Keras model takes as one array.

    Parameters
    ----------
    build : callable
        Gives a fresh network of plain Keras layers, from (height, width, channels) or (n_inputs,), cut to
        the width of a piece, to logits of ``dtype="float32"``.
    recipe : Recipe
        How to train.
    task : Task
        Rows and folds.
    seed : int
        Seed of weights, shuffling and noise.
    adapt : callable, optional
        Takes a fresh network and some training rows of its fold, as they are cached, and sets what depends
        on them, such as a layer's mean and variance.
    resident_bytes : int
        Inputs up to this size are kept on the device.
    policy : str, optional
        Keras's dtype policy; what the device gains by, by default.
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
        # The networks of earlier trials lie in reference cycles, and a GPU's memory with them.
        gc.collect()
        self._build, self._recipe, self._task, self._seed = build, recipe, task, seed
        self._adapt, self._resident_bytes = adapt, resident_bytes
        self.precision = policy or device_precision()
        self._feed = Feed(task.X, resident_bytes=resident_bytes)
        self._initial: list[list[np.ndarray]] = []
        sample = min(_SAMPLE, max(1, _SAMPLE_BYTES * len(task.X) // max(1, task.X.nbytes)))
        for number, fold in enumerate(task.folds):
            keras.utils.set_random_seed(mixed_seed(seed, number, INITIAL))
            with dtype_policy(self.precision):
                model = build()
            if adapt is not None:
                spread = np.unique(np.linspace(0, len(fold.train) - 1, sample).astype(np.int64))
                adapt(model, task.X[fold.train[spread]])
            self._initial.append(model.get_weights())
            if number == 0:
                self._core = model
        weights = self._core.weights
        # What dropout draws from is set anew each epoch, so it is no part of the state.
        self._noise = [one for one in self._core.variables if not any(one is other for other in weights)]
        self._judge = Judge(self._core, recipe.pieces)
        most = max(1, *(len(fold.valid) for fold in task.folds))
        # One size for all folds, so that it is compiled once, and of which little is left over.
        limit = _JUDGED_VECTORS if len(task.X.shape) == 2 else _JUDGED_TENSORS
        self._judged = -(-most // -(-most // limit))
        self._weights = [[tf.constant(value) for value in values] for values in self._initial]
        # The fold whose variables are in the network and the optimizer; above are those of its last turn.
        self._held: int | None = None
        self.n_parameters = max(self._trained_in(stage) for stage in recipe.stages)
        self._stage = -1
        self._enter(0)

    def _trained_in(self, stage: Stage) -> int:
        """Count the numbers that a stage trains."""
        if stage.unfreeze is not None:
            stage.unfreeze(self._core)
        return int(sum(np.prod(one.shape) for one in self._core.trainable_variables))

    def _enter(self, stage: int) -> None:
        """Begin a stage: what is trained, and an optimizer that knows nothing yet."""
        if stage == self._stage:
            return
        self._keep()
        self._held = None
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
        fresh = [tf.identity(variable) for variable in self._steps.variables]
        self._optimizers = [fresh for _ in self._weights]

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and judge its validation rows."""
        stage, since = self._stage_of(epoch)
        self._enter(stage)
        outcomes = [self._train(fold, epoch, since) for fold in range(len(self._weights))]
        losses, accuracies, probabilities = zip(*outcomes, strict=True)
        return EpochOutcome(float(np.mean(losses)), float(np.mean(accuracies)), tuple(probabilities))

    def _stage_of(self, epoch: int) -> tuple[int, int]:
        """Stage of an epoch, and the epoch's number in it."""
        for number, stage in enumerate(self._recipe.stages[:-1]):
            if epoch < stage.epochs:
                return number, epoch
            epoch -= stage.epochs
        return len(self._recipe.stages) - 1, epoch

    def _train(self, number: int, epoch: int, since: int) -> tuple[float, float, np.ndarray]:
        """Train one fold for one epoch; give loss, accuracy and validation probabilities."""
        recipe, fold, stage = self._recipe, self._task.folds[number], self._recipe.stages[self._stage]
        seed = mixed_seed(self._seed, number, epoch)
        self._take(number)
        for position, variable in enumerate(self._noise):
            variable.assign([mixed_seed(seed, position), 0])
        dealt = deal_batches([len(fold.train)], recipe.batch_size, [seed])
        rows, counts = fold.train[dealt.rows[:, 0]], dealt.counts[:, 0]
        rates = learning_rates(
            recipe.schedule, stage.learning_rate, epoch=since, epochs=stage.epochs, steps=len(rows)
        )
        weights = self._task.loss_weights(fold)
        class_weights = None if weights is None else tf.constant(weights)
        loss, right = 0.0, 0.0
        for data, places, steps in self._feed.pieces(rows):
            one, found = self._steps.run(
                data,
                tf.constant(places),
                tf.constant(self._task.y[rows[steps]], tf.int64),
                tf.constant(counts[steps]),
                tf.constant(rates[steps]),
                tf.constant((seed, epoch), tf.int32),
                tf.constant(steps.start, tf.int32),
                class_weights,
            )
            loss += float(one)
            right += float(found)
        return loss / len(rows), right / float(counts.sum()), self._probabilities(fold.valid)

    def _take(self, number: int) -> None:
        """Put a fold's variables into the network and the optimizer; a fold alone stays in them."""
        if self._held == number:
            return
        self._keep()
        for variable, value in zip(self._core.weights, self._weights[number], strict=True):
            variable.assign(value)
        for variable, value in zip(self._steps.variables, self._optimizers[number], strict=True):
            variable.assign(value)
        self._held = number

    def _keep(self) -> None:
        """Copy the variables of the fold that is in the network."""
        if self._held is not None:
            self._weights[self._held] = [tf.identity(one.value) for one in self._core.weights]
            self._optimizers[self._held] = [tf.identity(variable) for variable in self._steps.variables]

    def _probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Judge rows by the network as it is, float32, shape (n_rows, n_classes)."""
        batches = np.resize(rows, (-(-len(rows) // self._judged), self._judged))
        found = [
            self._judge.run(data, tf.constant(places)).numpy()
            for data, places, _ in self._feed.pieces(batches)
        ]
        none = np.empty((0, self._core.output_shape[-1]), dtype=np.float32)
        return np.concatenate([none, *found])[: len(rows)]

    def in_full_precision(self) -> TensorFolds | None:
        """Return the untrained learner in float32; None if this one already computes in it."""
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
        """Weights that are no longer as they were built, and the optimizer's variables, by fold."""
        self._keep()
        found: dict[str, np.ndarray] = {STATE_FORMAT_KEY: STATE_FORMAT, _STAGE: np.array(self._stage)}
        for number, initial in enumerate(self._initial):
            for position, (tensor, before) in enumerate(zip(self._weights[number], initial, strict=True)):
                value = tensor.numpy()
                # Frozen networks are large, and whoever builds the network anew has them.
                if not np.array_equal(value, before):
                    found[f"{number}.weight.{position}"] = value
            for position, value in enumerate(self._optimizers[number]):
                found[f"{number}.optimizer.{position}"] = value.numpy()
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` gave.

        Raises
        ------
        RunError
            If the state has other variables, or variables of other shapes.
        """
        check_state_format(state)
        if _STAGE not in state or int(state[_STAGE]) >= len(self._recipe.stages):
            raise other_network()
        self._enter(int(state[_STAGE]))
        here = {
            f"{number}.{kind}.{position}": value.shape
            for kind, by_fold in (("weight", self._weights), ("optimizer", self._optimizers))
            for number, values in enumerate(by_fold)
            for position, value in enumerate(values)
        }
        optimizers = {name for name in here if ".optimizer." in name}
        given = {name: value.shape for name, value in state.items() if name not in (_STAGE, STATE_FORMAT_KEY)}
        if not optimizers <= set(given) or any(here.get(name) != shape for name, shape in given.items()):
            raise other_network()
        self._held = None
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
        """Return the network of a fold as it is now, in float32 and with softmax; it takes cached rows."""
        self._keep()
        with dtype_policy("float32"):
            core = self._build()
            core.set_weights([value.numpy() for value in self._weights[fold]])
            model = judging_model(core, self._task.X.shape[1:], self._recipe.pieces)
        return Fitted(model, {})
