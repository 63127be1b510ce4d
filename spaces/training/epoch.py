"""One epoch of one architecture as one compiled function.

``Model.fit`` costs some 4 ms a step on networks of this size; the same step inside a compiled loop costs a
tenth. The function is compiled once an architecture and serves every configuration and every fold of it: it
takes weights, data, learning rates, dropout rates and seeds as arguments. Folds pass through it in turn,
which was measured faster than a fold axis on the CPU (see ``benchmarks/folds.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spaces.training.noise import Noise
from spaces.training.schedule import OPTIMIZERS

State = tuple[tf.Tensor, ...]
"""Values of the network's weights, of the optimizer's variables, and of the weights' moving averages."""


@dataclass(frozen=True)
class Knobs:
    """What a configuration sets without changing the architecture.

    Attributes
    ----------
    label_smoothing : float
        Share of the target that is spread over all genres (Szegedy et al., 2016).
    mixup : float
        Parameter of the Beta distribution that mixes pairs of rows (Zhang et al., 2018); 0 mixes none.
    weight_decay : float
        Decoupled decay of kernels, as a multiple of the learning rate (Loshchilov and Hutter, 2019).
    dropout : mapping of str to float
        Dropout rates by name.
    """

    label_smoothing: float
    mixup: float
    weight_decay: float
    dropout: Mapping[str, float]


class CompiledEpoch:
    """An architecture with its optimizer, and the function that trains it for one epoch.

    Parameters
    ----------
    build : callable
        Takes a maker of dropout layers, gives the network without its softmax: logits.
    optimizer : str
        One of `spaces.training.schedule.OPTIMIZERS`.
    dropout_names : sequence of str
        Names of the dropout rates that `build` uses.
    """

    def __init__(
        self,
        build: Callable[[Callable[[str], keras.layers.Layer]], keras.Model],
        optimizer: str,
        dropout_names: Sequence[str],
    ) -> None:
        self._noise = Noise()
        self._network = build(self._noise.dropout)
        self._optimizer = _optimizer(optimizer)
        self._optimizer.build(self._network.trainable_variables)
        self._kernels = [weight for weight in self._network.trainable_variables if weight.name == "kernel"]
        self._weights = list(self._network.weights)
        self._variables = [*self._weights, *self._optimizer.variables]
        self._fresh = [np.asarray(variable) for variable in (*self._variables, *self._weights)]
        self._dropout_names = tuple(dropout_names)
        floats = tf.TensorSpec([], tf.float32)
        rows = tf.TensorSpec(self._network.input_shape, tf.float32)
        self._run = tf.function(
            self._epoch,
            input_signature=[
                tuple(tf.TensorSpec(value.shape, value.dtype) for value in self._fresh),
                rows,
                tf.TensorSpec([None], tf.int32),
                rows,
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
                floats,
                (floats, floats, floats, dict.fromkeys(self._dropout_names, floats)),
            ],
        )

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers."""
        return int(sum(np.prod(weight.shape) for weight in self._network.trainable_variables))

    def judged_weights(self, state: State) -> list[np.ndarray]:
        """Weights that a state is judged and exported by: the averaged ones, in the network's order."""
        return [value.numpy() for value in state[len(self._variables) :]]

    def initial_state(self, seed: int) -> State:
        """Fresh weights, drawn from a seed by each layer's own initializer, and a fresh optimizer."""
        values = list(self._fresh)
        position = {id(variable): index for index, variable in enumerate(self._variables)}
        for number, layer in enumerate(self._network.layers):
            if hasattr(layer, "kernel_initializer"):
                kind = type(layer.kernel_initializer)
                settings = {**layer.kernel_initializer.get_config(), "seed": _mixed(seed, number)}
                values[position[id(layer.kernel)]] = kind.from_config(settings)(layer.kernel.shape)
        values[len(self._variables) :] = values[: len(self._weights)]
        return tuple(tf.convert_to_tensor(value) for value in values)

    def run(
        self,
        state: State,
        x: tf.Tensor,
        y: tf.Tensor,
        x_valid: tf.Tensor,
        *,
        rates: np.ndarray,
        seed: tuple[int, int],
        keep: float,
        knobs: Knobs,
    ) -> tuple[State, float, float, np.ndarray]:
        """Train for one epoch, then judge.

        Parameters
        ----------
        state : State
            Variables before the epoch.
        x, x_valid : tf.Tensor of float32, shape (n, ...) and (n_valid, ...)
            Prepared inputs.
        y : tf.Tensor of int32, shape (n,)
            Genre numbers.
        rates : ndarray of float32, shape (steps,)
            Learning rate of each step; rows are dealt evenly to the steps.
        seed : tuple of two int
            Seed of the epoch.
        keep : float
            Share of the weights' moving average that the epoch keeps; 0 judges the weights as they are.
        knobs : Knobs
            The configuration.

        Returns
        -------
        state : State
            Variables after the epoch.
        loss : float
            Mean training loss over steps.
        accuracy : float
            Share of the training rows that are right after the epoch.
        probabilities : ndarray of float32, shape (n_valid, n_classes)
            For the validation rows, after the epoch.
        """
        numbers = (knobs.label_smoothing, knobs.mixup, knobs.weight_decay)
        dropout = {name: tf.constant(knobs.dropout[name], tf.float32) for name in self._dropout_names}
        state, loss, accuracy, probabilities = self._run(
            state,
            x,
            y,
            x_valid,
            tf.constant(rates, tf.float32),
            tf.constant(seed, tf.int32),
            tf.constant(keep, tf.float32),
            (*(tf.constant(number, tf.float32) for number in numbers), dropout),
        )
        return state, float(loss), float(accuracy), probabilities.numpy()

    def _epoch(
        self,
        state: State,
        x: tf.Tensor,
        y: tf.Tensor,
        x_valid: tf.Tensor,
        rates: tf.Tensor,
        seed: tf.Tensor,
        keep: tf.Tensor,
        knobs: tuple[Any, ...],
    ) -> tuple[State, tf.Tensor, tf.Tensor, tf.Tensor]:
        for variable, value in zip(self._variables, state):  # noqa: B905 - AutoGraph knows no strict=
            variable.assign(value)
        *numbers, self._noise.rates = knobs
        rows, steps = tf.shape(x)[0], tf.shape(rates)[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed)
        total = tf.constant(0.0)
        for step in tf.range(steps):
            batch = order[step * rows // steps : (step + 1) * rows // steps]
            self._noise.seed = tf.random.fold_in(seed, step)
            total += self._step(tf.gather(x, batch), tf.gather(y, batch), rates[step], *numbers)
        trained = tuple(tf.identity(variable.value) for variable in self._variables)
        averages = []
        for weight, average in zip(self._weights, state[len(self._variables) :]):  # noqa: B905
            averages.append(keep * average + (1.0 - keep) * weight.value)
            weight.assign(averages[-1])
        right = tf.argmax(self._network(x, training=False), axis=1, output_type=tf.int32) == y
        return (
            (*trained, *averages),
            total / tf.cast(steps, tf.float32),
            tf.reduce_mean(tf.cast(right, tf.float32)),
            tf.nn.softmax(self._network(x_valid, training=False)),
        )

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        rate: tf.Tensor,
        smoothing: tf.Tensor,
        mixup: tf.Tensor,
        decay: tf.Tensor,
    ) -> tf.Tensor:
        """Take one optimizer step; give the loss."""
        classes = self._network.output_shape[-1]
        target = tf.one_hot(y, classes) * (1.0 - smoothing) + smoothing / classes
        x, target = _mix(x, target, mixup, self._noise.seed)
        with tf.GradientTape() as tape:
            logits = self._network(x, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        weights = self._network.trainable_variables
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        for kernel in self._kernels:
            kernel.value.assign_sub(rate * decay * kernel.value)
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply(gradients, weights)
        return loss


def _mix(x: tf.Tensor, target: tf.Tensor, mixup: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each row with its neighbour in the shuffled batch, all by one share drawn from a Beta."""

    def mixed() -> tuple[tf.Tensor, tf.Tensor]:
        # A Beta is a ratio of two Gammas.
        first, second = tf.unstack(tf.random.stateless_gamma([2], tf.random.fold_in(seed, 0), alpha=mixup))
        share = first / tf.maximum(first + second, 1e-12)
        return (
            share * x + (1.0 - share) * tf.roll(x, 1, axis=0),
            share * target + (1.0 - share) * tf.roll(target, 1, axis=0),
        )

    return tf.cond(mixup > 0.0, mixed, lambda: (x, target))


def _optimizer(name: str) -> keras.optimizers.Optimizer:
    match name:
        case "adam":
            return keras.optimizers.Adam()
        case "rmsprop":
            return keras.optimizers.RMSprop()
        case "sgd":
            return keras.optimizers.SGD(momentum=0.9, nesterov=True)
        case _:
            raise ValueError(f"optimizer {name!r} is not one of {', '.join(OPTIMIZERS)}")


def _mixed(*numbers: int) -> int:
    """One 31-bit seed of several numbers (a hash that spreads neighbours apart)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


def epoch_seed(seed: int, fold: int, epoch: int) -> tuple[int, int]:
    """Seed of one epoch of one fold: two 31-bit numbers."""
    return _mixed(seed, fold, epoch, 0), _mixed(seed, fold, epoch, 1)


def fold_seed(seed: int, fold: int) -> int:
    """Seed of the initial weights of one fold."""
    return _mixed(seed, fold)
