"""One training epoch of dense networks, one network per fold, as one compiled function.

``Model.fit`` needs about 4 ms per step for networks of this size. The same step inside a compiled loop needs
a tenth of that, and the fold axis trains all folds in one step; ``benchmarks/folds.py`` measures both.

Compilation can take longer than training. The function is therefore compiled only once per process; depth,
widths, folds, activation, normalisation, optimizer, data, row order, rates and seeds are its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import tensorflow as tf

from spaces.training.batching import Batches
from spaces.training.dense.forward_pass import Dropout, Form, TrainingPass, logits, position
from spaces.training.dense.layers import HiddenLayer, Kind
from spaces.training.dense.network import Architecture
from spaces.training.dense.weights import packed, unpacked
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
    max_layers : int
        Maximum number of hidden layers.
    """

    def __init__(self, max_layers: int) -> None:
        self._max_layers = max_layers
        n_weights = len(HiddenLayer._fields) * max_layers + 2
        self._moments = list(range(2, n_weights - 2, 3))
        self._trained = [number for number in range(n_weights) if number not in self._moments]
        self._kernels = list(range(0, n_weights, 3))
        self._weights = [_variable() for _ in range(n_weights)]
        self._slots = [[_variable() for _ in range(MAX_SLOTS)] for _ in self._trained]
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
                tf.TensorSpec([None, None], tf.int64),
                rows,
                tf.TensorSpec([None, None, None], tf.int64),
                tf.TensorSpec([None, None, None], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
                number,
                Form(integer, Kind(integer, integer)),
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
        weights_by_fold = [
            packed(architecture.initial_weights(seed), architecture, self._max_layers) for seed in seeds
        ]
        weights = [np.stack(values) for values in zip(*weights_by_fold, strict=True)]
        slots = [np.zeros_like(weights[position]) for position in self._trained for _ in range(MAX_SLOTS)]
        return tuple(map(tf.constant, (*weights, *slots, np.float32(0), *weights)))

    def evaluation_weights(self, architecture: Architecture, state: State, fold: int) -> list[np.ndarray]:
        """Return the averaged weights of a fold, in the order of the Keras model."""
        return unpacked([value.numpy()[fold] for value in state[len(self._variables) :]], architecture)

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
        architecture: Architecture,
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
        y : tf.Tensor of int64, shape (n_folds, n)
            Genre numbers; -1 for padding.
        batches : Batches
            Rows of each step.
        rates : ndarray of float32, shape (n_steps,)
            Learning rate of each step.
        seed : tuple of two int
            Seed of the epoch's noise.
        keep : float
            Fraction of the previous average in the new average of the weights; 0 uses the current weights.
        architecture : Architecture
            The networks.
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
            class_weights = np.ones((len(y), architecture.n_classes), np.float32)
        state, *results = self._run(
            state,
            x,
            y,
            x_valid,
            # All row numbers of the epoch in one transfer. They are int64 because TensorFlow keeps int32 in
            # host memory, from which each step would copy its row numbers to a GPU.
            tf.constant(batches.rows, tf.int64),
            tf.constant(batches.counts),
            tf.constant(rates, tf.float32),
            tf.constant(seed, tf.int32),
            tf.constant(keep, tf.float32),
            Form.of(architecture),
            position(optimizer, OPTIMIZERS),
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
        form: Form,
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
                form,
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
        predicted = tf.argmax(_logits(averages, x, form), axis=2)
        correct = tf.cast(predicted == y, tf.float32)
        real = tf.cast(y >= 0, tf.float32)
        return (
            (*trained, *averages),
            total / tf.cast(steps, tf.float32),
            tf.reduce_sum(correct * real, axis=1) / tf.reduce_sum(real, axis=1),
            tf.nn.softmax(_logits(averages, x_valid, form)),
        )

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        counts: tf.Tensor,
        seed: tf.Tensor,
        rate: tf.Tensor,
        form: Form,
        optimizer: tf.Tensor,
        class_weights: tf.Tensor,
        knobs: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        """Take one optimizer step; return the loss of each fold."""
        smoothing, mixup, decay, input_dropout, dropout = knobs
        n_classes = tf.shape(class_weights)[1]
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
        weights = [weight.read_value() for weight in self._weights]
        networks = TrainingPass(weights, x, counts[:, :, None], form, Dropout(seed, input_dropout, dropout))
        losses, slopes = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
            features=tf.reshape(networks.logits, [-1, n_classes]), labels=tf.reshape(target, [-1, n_classes])
        )
        shares = row_weights * counts / tf.reduce_sum(counts, axis=1, keepdims=True)
        # The gradient of each fold is that of its own mean loss.
        gradients = networks.gradients(tf.reshape(slopes, tf.shape(target)) * shares[:, :, None])
        with tf.control_dependencies([*gradients, *networks.moments]):
            for number, moments in zip(self._moments, networks.moments, strict=True):
                self._weights[number].assign(moments)
            for number in self._kernels:
                self._weights[number].assign_sub(rate * decay * weights[number])
            step_number = self._steps.assign_add(1.0, read_value=True)

            def apply_updates(name: str) -> tf.Tensor:
                for number, gradient, slots in zip(self._trained, gradients, self._slots, strict=True):
                    update(name, self._weights[number], gradient, slots, rate, step_number)
                return tf.constant(0)

            tf.switch_case(optimizer, [lambda name=name: apply_updates(name) for name in OPTIMIZERS])
        return tf.reduce_sum(tf.reshape(losses, tf.shape(shares)) * shares, axis=1)


_logits = tf.function(logits, autograph=False)


@cache
def compiled_epoch(max_layers: int) -> CompiledEpoch:
    """Return the compiled epoch that all trials of the process share; it is kept, as few exist."""
    return CompiledEpoch(max_layers)


def _variable() -> tf.Variable:
    """Create a variable of rank 3 with dimensions of any size."""
    return tf.Variable(tf.zeros([1, 1, 1]), shape=tf.TensorShape([None] * 3), dtype=tf.float32)
