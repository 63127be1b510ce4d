"""One epoch of a dense network, for all folds together, as one compiled function.

``Model.fit`` costs some 4 ms per step on networks of this size; the same step inside a compiled loop costs a
tenth, and a fold axis makes one step serve all folds: see ``benchmarks/folds.py``. The function is compiled
once per number of hidden layers and normalisation. Widths, folds, activation, optimizer, data, order,
learning rates, dropout rates and seeds are its arguments: compilation can cost more than training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from spaces.training.batching import Batches
from spaces.training.dense import layers
from spaces.training.dense.activations import activate
from spaces.training.dense.network import ACTIVATIONS, Architecture
from spaces.training.learning_rates import OPTIMIZERS
from spaces.training.optimizers import MOST_SLOTS, update

State = tuple[tf.Tensor, ...]
"""Weights, optimizer slots, number of steps, and moving averages of the weights; all but steps per fold."""

_NORM_RANKS = {"none": 0, "batch": 4, "layer": 2}
"""Weights of each normalisation."""
_INPUT_DROPOUT = 1
"""Number of the first dropout's draws; those of the hidden layers follow."""


@dataclass(frozen=True)
class Knobs:
    """Numbers of a configuration that change neither the weights nor the compiled function.

    Attributes
    ----------
    label_smoothing : float
        Fraction of the target that is spread over all genres (Szegedy et al., 2016).
    mixup : float
        Parameter of the Beta distribution that mixes pairs of rows (Zhang et al., 2018); 0 mixes none.
    weight_decay : float
        Decoupled decay of kernels, as a multiple of the learning rate (Loshchilov and Hutter, 2019).
    input_dropout, dropout : float
        Dropout rates of the input and of the hidden layers.
    """

    label_smoothing: float = 0.0
    mixup: float = 0.0
    weight_decay: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0


class CompiledEpoch:
    """The function that trains all folds of a network for one epoch; use `compiled_epoch` to share it.

    Parameters
    ----------
    depth : int
        Number of hidden layers.
    normalisation : str
        One of `spaces.training.dense.network.NORMALISATIONS`.
    """

    def __init__(self, depth: int, normalisation: str) -> None:
        self._depth = depth
        self._normalisation = normalisation
        ranks = [3, 2, *[2] * _NORM_RANKS[normalisation]]
        self._per_layer = len(ranks)
        self._weights = [_variable(rank) for rank in [*ranks * depth, 3, 2]]
        moving = (4, 5) if normalisation == "batch" else ()
        self._trained = [
            position
            for position in range(len(self._weights))
            if position >= depth * self._per_layer or position % self._per_layer not in moving
        ]
        self._kernels = [*range(0, depth * self._per_layer, self._per_layer), len(self._weights) - 2]
        self._slots = [
            [_variable(self._weights[position].shape.rank) for _ in range(MOST_SLOTS)]
            for position in self._trained
        ]
        self._steps = tf.Variable(0.0)
        self._variables = [*self._weights, *(slot for slots in self._slots for slot in slots), self._steps]
        number, integer = tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int32)
        rows = tf.TensorSpec([None, None, None], tf.float32)
        self._run = tf.function(
            self._epoch,
            input_signature=[
                tuple(tf.TensorSpec(each.shape, tf.float32) for each in [*self._variables, *self._weights]),
                rows,
                tf.TensorSpec([None, None], tf.int32),
                rows,
                tf.TensorSpec([None, None, None], tf.int32),
                tf.TensorSpec([None, None, None], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
                number,
                integer,
                integer,
                tf.TensorSpec([None, None], tf.float32),
                (number,) * 5,
            ],
            # It would leave generated source among the temporary files where Ray ends the process.
            autograph=False,
        )

    @property
    def trace_count(self) -> int:
        """How often the function has been compiled: at most once."""
        return int(self._run.experimental_get_tracing_count())

    def initial_state(self, architecture: Architecture, seeds: Sequence[int]) -> State:
        """Draw weights from one seed per fold; the optimizer starts at zero."""
        folds = [architecture.initial_weights(seed) for seed in seeds]
        weights = [np.stack(values) for values in zip(*folds, strict=True)]
        slots = [np.zeros_like(weights[position]) for position in self._trained for _ in range(MOST_SLOTS)]
        return tuple(map(tf.constant, (*weights, *slots, np.float32(0), *weights)))

    def judged_weights(self, state: State, fold: int) -> list[np.ndarray]:
        """Weights that a fold is evaluated and exported with: the averaged ones, in Keras's order."""
        return [value.numpy()[fold] for value in state[len(self._variables) :]]

    def run(
        self,
        state: State,
        x: tf.Tensor,
        y: tf.Tensor,
        x_valid: tf.Tensor,
        *,
        batches: Batches,
        rates: np.ndarray,
        seed: tuple[int, int],
        keep: float,
        activation: str,
        optimizer: str,
        knobs: Knobs,
        class_weights: np.ndarray | None = None,
    ) -> tuple[State, np.ndarray, np.ndarray, np.ndarray]:
        """Train for one epoch, then evaluate.

        Parameters
        ----------
        state : State
            Variables before the epoch.
        x, x_valid : tf.Tensor of float32, shape (n_folds, n, n_inputs) and (n_folds, n_valid, n_inputs)
            Prepared inputs, filled up to the largest fold.
        y : tf.Tensor of int32, shape (n_folds, n)
            Genre numbers; -1 fills up.
        batches : Batches
            Rows of each step.
        rates : ndarray of float32, shape (n_steps,)
            Learning rate of each step.
        seed : tuple of two int
            Seed of the epoch's noise.
        keep : float
            Fraction of the weights' moving average that the epoch keeps; 0 evaluates the weights as they are.
        activation : str
            One of `spaces.training.dense.network.ACTIVATIONS`.
        optimizer : str
            One of `spaces.training.learning_rates.OPTIMIZERS`.
        knobs : Knobs
            The rest of the configuration.
        class_weights : ndarray of float32, shape (n_folds, n_classes), optional
            Weight of each genre in the loss of each fold; by default, all genres count equally.

        Returns
        -------
        state : State
            Variables after the epoch.
        loss : ndarray of float32, shape (n_folds,)
            Mean training loss over steps.
        accuracy : ndarray of float32, shape (n_folds,)
            Fraction of the training rows that are classified correctly after the epoch.
        probabilities : ndarray of float32, shape (n_folds, n_valid, n_classes)
            For the validation rows, after the epoch.
        """
        numbers = (
            knobs.label_smoothing,
            knobs.mixup,
            knobs.weight_decay,
            knobs.input_dropout,
            knobs.dropout,
        )
        if class_weights is None:
            # The last of the weights is the bias of the output layer, shape (n_folds, n_classes).
            class_weights = np.ones(state[len(self._weights) - 1].shape, np.float32)
        state, *evaluated = self._run(
            state,
            x,
            y,
            x_valid,
            tf.constant(batches.rows),
            tf.constant(batches.counts),
            tf.constant(rates, tf.float32),
            tf.constant(seed, tf.int32),
            tf.constant(keep, tf.float32),
            tf.constant(_position(activation, ACTIVATIONS)),
            tf.constant(_position(optimizer, OPTIMIZERS)),
            tf.constant(class_weights),
            tuple(tf.constant(number, tf.float32) for number in numbers),
        )
        loss, accuracy, probabilities = (value.numpy() for value in evaluated)
        return state, loss, accuracy, probabilities

    def _epoch(
        self,
        state: State,
        x: tf.Tensor,
        y: tf.Tensor,
        x_valid: tf.Tensor,
        rows: tf.Tensor,
        counts: tf.Tensor,
        rates: tf.Tensor,
        seed: tf.Tensor,
        keep: tf.Tensor,
        activation: tf.Tensor,
        optimizer: tf.Tensor,
        class_weights: tf.Tensor,
        knobs: tuple[tf.Tensor, ...],
    ) -> tuple[State, tf.Tensor, tf.Tensor, tf.Tensor]:
        n_variables = len(self._variables)
        for variable, value in zip(self._variables, state[:n_variables], strict=True):
            variable.assign(value)
        steps = tf.shape(rates)[0]

        def step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            loss = self._step(
                tf.gather(x, rows[number], batch_dims=1),
                tf.gather(y, rows[number], batch_dims=1),
                counts[number],
                tf.random.fold_in(seed, number),
                rates[number],
                activation,
                optimizer,
                class_weights,
                knobs,
            )
            return number + 1, total + loss

        _, total = tf.while_loop(lambda number, _: number < steps, step, (0, tf.zeros([tf.shape(x)[0]])))
        trained = [variable.read_value() for variable in self._variables]
        averages = [
            keep * average + (1.0 - keep) * weight
            for average, weight in zip(state[n_variables:], trained[: len(self._weights)], strict=True)
        ]
        right = tf.argmax(self._logits(averages, x, activation), axis=2, output_type=tf.int32) == y
        real = tf.cast(y >= 0, tf.float32)
        return (
            (*trained, *averages),
            total / tf.cast(steps, tf.float32),
            tf.reduce_sum(tf.cast(right, tf.float32) * real, axis=1) / tf.reduce_sum(real, axis=1),
            tf.nn.softmax(self._logits(averages, x_valid, activation)),
        )

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        counts: tf.Tensor,
        seed: tf.Tensor,
        rate: tf.Tensor,
        activation: tf.Tensor,
        optimizer: tf.Tensor,
        class_weights: tf.Tensor,
        knobs: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        """Take one optimizer step; return the loss of each fold."""
        smoothing, mixup, decay, input_dropout, dropout = knobs
        n_classes = tf.shape(self._weights[-1].read_value())[1]
        target = tf.one_hot(y, n_classes) * (1.0 - smoothing) + smoothing / tf.cast(n_classes, tf.float32)
        # Rows that fill up have genre -1 and do not count.
        row_weights = tf.gather(class_weights, tf.maximum(y, 0), batch_dims=1)
        x, target, row_weights = _mix(x, target, row_weights, mixup, seed)
        x = layers.dropout(x, input_dropout, seed, _INPUT_DROPOUT)
        weights = [weight.read_value() for weight in self._weights]
        trained = [weights[position] for position in self._trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            logits = self._logits(weights, x, activation, counts[:, :, None], seed, dropout)
            losses = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            by_fold = tf.reduce_sum(losses * row_weights * counts, axis=1) / tf.reduce_sum(counts, axis=1)
            # A sum over folds: each fold's gradient is that of its own mean.
            loss = tf.reduce_sum(by_fold)
        gradients = tape.gradient(loss, trained)
        with tf.control_dependencies(gradients):
            for kernel in self._kernels:
                self._weights[kernel].assign_sub(rate * decay * weights[kernel])
            number = self._steps.assign_add(1.0, read_value=True)

            def apply(name: str) -> tf.Tensor:
                for position, gradient, slots in zip(self._trained, gradients, self._slots, strict=True):
                    update(name, self._weights[position], gradient, slots, rate, number)
                return tf.constant(0)

            tf.switch_case(optimizer, [lambda name=name: apply(name) for name in OPTIMIZERS])
        return by_fold

    def _logits(
        self,
        weights: Sequence[tf.Tensor],
        x: tf.Tensor,
        activation: tf.Tensor,
        mask: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
        rate: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Apply the network; with a mask of the counted rows in training, without one in evaluation."""
        for hidden in range(self._depth):
            first = hidden * self._per_layer
            kernel, bias, *norm = weights[first : first + self._per_layer]
            x = self._normalised(layers.dense(x, kernel, bias), norm, first + 4, mask)
            x = activate(x, activation)
            if mask is not None:
                x = layers.dropout(x, rate, seed, _INPUT_DROPOUT + 1 + hidden)
        return layers.dense(x, *weights[-2:])

    def _normalised(
        self, x: tf.Tensor, norm: Sequence[tf.Tensor], moving: int, mask: tf.Tensor | None
    ) -> tf.Tensor:
        """Normalise a hidden layer; in training, update its moving moments, which begin at `moving`."""
        match self._normalisation:
            case "batch":
                gamma, beta, *moments = norm
                if mask is None:
                    mean, variance = (moment[:, None] for moment in moments)
                else:
                    mean, variance = layers.batch_moments(x, mask)
                    for position, before, batch in zip(
                        (moving, moving + 1), moments, (mean, variance), strict=True
                    ):
                        change = (1.0 - layers.MOMENTUM) * (batch[:, 0] - before)
                        self._weights[position].assign_add(change)
            case "layer":
                gamma, beta = norm
                mean, variance = layers.row_moments(x)
            case _:
                return x
        return layers.normalise(x, mean, variance, gamma, beta)


@cache
def compiled_epoch(depth: int, normalisation: str) -> CompiledEpoch:
    """Return the process's compiled epoch; there are few, so each is kept."""
    return CompiledEpoch(depth, normalisation)


def _variable(rank: int) -> tf.Variable:
    """Make a variable whose dimensions are open."""
    return tf.Variable(tf.zeros([1] * rank), shape=tf.TensorShape([None] * rank), dtype=tf.float32)


def _mix(
    x: tf.Tensor, target: tf.Tensor, row_weights: tf.Tensor, mixup: tf.Tensor, seed: tf.Tensor
) -> tuple[Any, Any, Any]:
    """Mix each row with its neighbour in the shuffled batch, all by one weight drawn from a Beta."""

    def mixed() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # A Beta is a ratio of two Gammas.
        first, second = tf.unstack(tf.random.stateless_gamma([2], tf.random.fold_in(seed, 0), alpha=mixup))
        share = first / tf.maximum(first + second, 1e-12)
        return (
            share * x + (1.0 - share) * tf.roll(x, 1, axis=1),
            share * target + (1.0 - share) * tf.roll(target, 1, axis=1),
            share * row_weights + (1.0 - share) * tf.roll(row_weights, 1, axis=1),
        )

    mixed_x, mixed_target, mixed_weights = tf.cond(mixup > 0.0, mixed, lambda: (x, target, row_weights))
    return mixed_x, mixed_target, mixed_weights


def _position(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}")
    return names.index(name)
