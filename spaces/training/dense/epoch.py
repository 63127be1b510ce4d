"""One training epoch of dense networks, one network per fold, as one compiled function.

``Model.fit`` needs about 4 ms per step for networks of this size. The same step inside a compiled loop needs
a tenth of that, and the fold axis trains all folds in one step; ``benchmarks/folds.py`` measures both.

Compilation can take longer than training. The function is therefore compiled only once per number of hidden
layers and normalisation; widths, folds, activation, optimizer, data, row order, rates and seeds are its
arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import tensorflow as tf

from spaces.training.batching import Batches
from spaces.training.dense.forward_pass import ForwardPass, TrainingPass
from spaces.training.dense.network import ACTIVATIONS, Architecture
from spaces.training.learning_rates import OPTIMIZERS
from spaces.training.mixup import mix_neighbours
from spaces.training.optimizers import MAX_SLOTS, update

State = tuple[tf.Tensor, ...]
"""Weights, optimizer slots, number of steps, averaged weights; all but the number have a fold axis."""


@dataclass(frozen=True)
class Knobs:
    """Parameters of a configuration that affect neither the weights' shapes nor the compiled function.

    Attributes
    ----------
    label_smoothing : float
        Fraction of the target that is spread over all genres (Szegedy et al., 2016).
    mixup : float
        Parameter of the Beta distribution for mixing pairs of rows (Zhang et al., 2018); 0 disables mixing.
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
    """Function that trains all folds for one epoch; `compiled_epoch` returns the shared instance.

    Parameters
    ----------
    depth : int
        Number of hidden layers.
    normalisation : str
        One of `spaces.training.dense.network.NORMALISATIONS`.
    """

    def __init__(self, depth: int, normalisation: str) -> None:
        self._forward = ForwardPass(depth, normalisation)
        self._trained = self._forward.trained
        self._weights = [_variable(rank) for rank in self._forward.ranks]
        self._slots = [
            [_variable(self._weights[position].shape.rank) for _ in range(MAX_SLOTS)]
            for position in self._trained
        ]
        self._steps = tf.Variable(0.0)
        self._variables = [*self._weights, *(slot for slots in self._slots for slot in slots), self._steps]
        number, integer = tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int32)
        rows = tf.TensorSpec([None, None, None], tf.float32)
        self._run = tf.function(
            self._epoch,
            input_signature=[
                tuple(
                    tf.TensorSpec(variable.shape, tf.float32)
                    for variable in [*self._variables, *self._weights]
                ),
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
            # Autograph would leave generated source files behind when Ray ends the process.
            autograph=False,
        )

    @property
    def trace_count(self) -> int:
        """Number of compilations: at most one."""
        return int(self._run.experimental_get_tracing_count())

    def initial_state(self, architecture: Architecture, seeds: Sequence[int]) -> State:
        """Draw initial weights from one seed per fold; the optimizer starts at zero."""
        weights_by_fold = [architecture.initial_weights(seed) for seed in seeds]
        weights = [np.stack(values) for values in zip(*weights_by_fold, strict=True)]
        slots = [np.zeros_like(weights[position]) for position in self._trained for _ in range(MAX_SLOTS)]
        return tuple(map(tf.constant, (*weights, *slots, np.float32(0), *weights)))

    def evaluation_weights(self, state: State, fold: int) -> list[np.ndarray]:
        """Return the averaged weights of a fold, in the order of the Keras model."""
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
        """Train for one epoch, then evaluate the averaged weights.

        Parameters
        ----------
        state : State
            Variables before the epoch.
        x, x_valid : tf.Tensor of float32, shape (n_folds, n, n_inputs) and (n_folds, n_valid, n_inputs)
            Prepared inputs, padded to the largest fold.
        y : tf.Tensor of int32, shape (n_folds, n)
            Genre numbers; -1 for padding.
        batches : Batches
            Rows of each step.
        rates : ndarray of float32, shape (n_steps,)
            Learning rate of each step.
        seed : tuple of two int
            Seed of the epoch's noise.
        keep : float
            Fraction of the previous average in the new average of the weights; 0 uses the current weights.
        activation : str
            One of `spaces.training.dense.network.ACTIVATIONS`.
        optimizer : str
            One of `spaces.training.learning_rates.OPTIMIZERS`.
        knobs : Knobs
            Further parameters of the configuration.
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
            Predictions for the validation rows after the epoch.
        """
        knob_values = (
            knobs.label_smoothing,
            knobs.mixup,
            knobs.weight_decay,
            knobs.input_dropout,
            knobs.dropout,
        )
        if class_weights is None:
            # The last weight is the bias of the output layer, shape (n_folds, n_classes).
            class_weights = np.ones(state[len(self._weights) - 1].shape, np.float32)
        state, *results = self._run(
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
            tuple(tf.constant(value, tf.float32) for value in knob_values),
        )
        loss, accuracy, probabilities = (value.numpy() for value in results)
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
        predicted = tf.argmax(self._forward.logits(averages, x, activation), axis=2, output_type=tf.int32)
        correct = tf.cast(predicted == y, tf.float32)
        real = tf.cast(y >= 0, tf.float32)
        return (
            (*trained, *averages),
            total / tf.cast(steps, tf.float32),
            tf.reduce_sum(correct * real, axis=1) / tf.reduce_sum(real, axis=1),
            tf.nn.softmax(self._forward.logits(averages, x_valid, activation)),
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
        # Padding rows have genre -1 and do not count.
        row_weights = tf.gather(class_weights, tf.maximum(y, 0), batch_dims=1)
        mixup_seed = tf.random.fold_in(seed, 0)
        rows = (x, target, row_weights)
        x, target, row_weights = tf.cond(
            mixup > 0.0,
            # All rows and folds share one weight.
            lambda: mix_neighbours(rows, mixup, mixup_seed, row_axis=1, per_row=False),
            lambda: rows,
        )
        training = TrainingPass(self._weights, counts[:, :, None], seed, input_dropout, dropout)
        weights = [weight.read_value() for weight in self._weights]
        trained = [weights[position] for position in self._trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            logits = self._forward.logits(weights, x, activation, training)
            losses = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            weighted = losses * row_weights * counts
            fold_losses = tf.reduce_sum(weighted, axis=1) / tf.reduce_sum(counts, axis=1)
            # The gradient of the sum is, for each fold, the gradient of its own mean loss.
            loss = tf.reduce_sum(fold_losses)
        gradients = tape.gradient(loss, trained)
        with tf.control_dependencies(gradients):
            for position in self._forward.kernels:
                self._weights[position].assign_sub(rate * decay * weights[position])
            step_number = self._steps.assign_add(1.0, read_value=True)

            def apply_updates(name: str) -> tf.Tensor:
                for position, gradient, slots in zip(self._trained, gradients, self._slots, strict=True):
                    update(name, self._weights[position], gradient, slots, rate, step_number)
                return tf.constant(0)

            tf.switch_case(optimizer, [lambda name=name: apply_updates(name) for name in OPTIMIZERS])
        return fold_losses


@cache
def compiled_epoch(depth: int, normalisation: str) -> CompiledEpoch:
    """Return the compiled epoch that all trials of the process share; it is kept, as few exist."""
    return CompiledEpoch(depth, normalisation)


def _variable(rank: int) -> tf.Variable:
    """Create a variable with dimensions of any size."""
    return tf.Variable(tf.zeros([1] * rank), shape=tf.TensorShape([None] * rank), dtype=tf.float32)


def _position(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}")
    return names.index(name)
