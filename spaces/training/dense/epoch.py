"""One epoch of one architecture, for all folds together, as one compiled function.

``Model.fit`` costs some 4 ms a step on networks of this size; the same step inside a compiled loop costs a
tenth, and a fold axis makes one step serve all folds: see ``benchmarks/folds.py``. The function is compiled
once an architecture and a number of folds, and serves every configuration of it: weights, data, order,
learning rates, dropout rates and seeds are its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from spaces.training.batching import Batches
from spaces.training.dense.layers import Dense, Dropout, FoldLayer, Pass
from spaces.training.optimizers import make_optimizer

State = tuple[tf.Tensor, ...]
"""Values of the weights, of the optimizer's variables, and of the weights' moving averages, by fold."""


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
    """An architecture with its optimizer, and the function that trains all folds of it for one epoch.

    Parameters
    ----------
    layers : sequence of FoldLayer
        The network as far as its logits.
    optimizer : str
        One of `spaces.training.learning_rates.OPTIMIZERS`.
    n_classes : int
        Number of genres.
    """

    def __init__(self, layers: Sequence[FoldLayer], optimizer: str, n_classes: int) -> None:
        self._layers = list(layers)
        self._n_classes = n_classes
        self._dropout_names = sorted({layer.rate_name for layer in layers if isinstance(layer, Dropout)})
        self._weights = [weight for layer in layers for weight in layer.weights]
        self._trainable = [weight for weight in self._weights if weight.trainable]
        self._kernels = [layer.kernel for layer in layers if isinstance(layer, Dense)]
        self._optimizer = make_optimizer(optimizer)
        self._optimizer.build(self._trainable)
        self._variables = [*self._weights, *self._optimizer.variables]
        self._fresh = [np.asarray(variable) for variable in self._variables]
        n_folds, n_inputs, _ = self._kernels[0].shape
        floats = tf.TensorSpec([], tf.float32)
        rows = tf.TensorSpec([n_folds, None, n_inputs], tf.float32)
        state = [tf.TensorSpec(value.shape, value.dtype) for value in self._fresh]
        self._run = tf.function(
            self._epoch,
            input_signature=[
                (*state, *state[: len(self._weights)]),
                rows,
                tf.TensorSpec([n_folds, None], tf.int32),
                rows,
                tf.TensorSpec([None, n_folds, None], tf.int32),
                tf.TensorSpec([None, n_folds, None], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
                floats,
                (floats, floats, floats, dict.fromkeys(self._dropout_names, floats)),
            ],
            # It would leave generated source among the temporary files where Ray ends the process.
            autograph=False,
        )

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers of one fold."""
        return int(sum(np.prod(weight.shape[1:]) for weight in self._trainable))

    def initial_state(self, seeds: Sequence[int]) -> State:
        """Fresh weights, drawn from a seed for each fold, and a fresh optimizer."""
        folds = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            folds.append([value for layer in self._layers for value in layer.initial(rng)])
        weights = [np.stack(values) for values in zip(*folds, strict=True)]
        values = (*weights, *self._fresh[len(weights) :], *weights)
        return tuple(tf.convert_to_tensor(value) for value in values)

    def judged_weights(self, state: State, fold: int) -> list[np.ndarray]:
        """Weights that a fold is judged and exported by: the averaged ones, in the network's order."""
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
        knobs: Knobs,
    ) -> tuple[State, np.ndarray, np.ndarray, np.ndarray]:
        """Train for one epoch, then judge.

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
            Share of the weights' moving average that the epoch keeps; 0 judges the weights as they are.
        knobs : Knobs
            The configuration.

        Returns
        -------
        state : State
            Variables after the epoch.
        loss : ndarray of float32, shape (n_folds,)
            Mean training loss over steps.
        accuracy : ndarray of float32, shape (n_folds,)
            Share of the training rows that are right after the epoch.
        probabilities : ndarray of float32, shape (n_folds, n_valid, n_classes)
            For the validation rows, after the epoch.
        """
        numbers = (knobs.label_smoothing, knobs.mixup, knobs.weight_decay)
        dropout = {name: tf.constant(knobs.dropout[name], tf.float32) for name in self._dropout_names}
        state, *judged = self._run(
            state,
            x,
            y,
            x_valid,
            tf.constant(batches.rows),
            tf.constant(batches.counts),
            tf.constant(rates, tf.float32),
            tf.constant(seed, tf.int32),
            tf.constant(keep, tf.float32),
            (*(tf.constant(number, tf.float32) for number in numbers), dropout),
        )
        loss, accuracy, probabilities = (value.numpy() for value in judged)
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
        knobs: tuple[Any, ...],
    ) -> tuple[State, tf.Tensor, tf.Tensor, tf.Tensor]:
        variables = len(self._variables)
        for variable, value in zip(self._variables, state[:variables], strict=True):
            variable.assign(value)
        *numbers, dropout = knobs
        steps = tf.shape(rates)[0]

        def step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            given = Pass(counts[number][:, :, None], tf.random.fold_in(seed, number), dropout)
            batch = tf.gather(x, rows[number], batch_dims=1)
            genres = tf.gather(y, rows[number], batch_dims=1)
            loss = self._step(batch, genres, counts[number], given, rates[number], *numbers)
            return number + 1, total + loss

        _, total = tf.while_loop(lambda number, _: number < steps, step, (0, tf.zeros([x.shape[0]])))
        trained = tuple(tf.identity(variable.value) for variable in self._variables)
        averages = []
        for weight, average in zip(self._weights, state[variables:], strict=True):
            averages.append(keep * average + (1.0 - keep) * weight.value)
            weight.assign(averages[-1])
        right = tf.argmax(self._logits(x, Pass()), axis=2, output_type=tf.int32) == y
        real = tf.cast(y >= 0, tf.float32)
        return (
            (*trained, *averages),
            total / tf.cast(steps, tf.float32),
            tf.reduce_sum(tf.cast(right, tf.float32) * real, axis=1) / tf.reduce_sum(real, axis=1),
            tf.nn.softmax(self._logits(x_valid, Pass())),
        )

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        counts: tf.Tensor,
        given: Pass,
        rate: tf.Tensor,
        smoothing: tf.Tensor,
        mixup: tf.Tensor,
        decay: tf.Tensor,
    ) -> tf.Tensor:
        """Take one optimizer step; give the loss of each fold."""
        target = tf.one_hot(y, self._n_classes) * (1.0 - smoothing) + smoothing / self._n_classes
        x, target = _mix(x, target, mixup, given.seed)
        with tf.GradientTape() as tape:
            losses = tf.nn.softmax_cross_entropy_with_logits(target, self._logits(x, given))
            by_fold = tf.reduce_sum(losses * counts, axis=1) / tf.reduce_sum(counts, axis=1)
            # A sum over folds: each fold's gradient is that of its own mean.
            loss = tf.reduce_sum(by_fold)
        gradients = tape.gradient(loss, [weight.value for weight in self._trainable])
        for kernel in self._kernels:
            kernel.value.assign_sub(rate * decay * kernel.value)
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply(gradients, self._trainable)
        return by_fold

    def _logits(self, x: tf.Tensor, given: Pass) -> tf.Tensor:
        for layer in self._layers:
            x = layer(x, given)
        return x


def _mix(x: tf.Tensor, target: tf.Tensor, mixup: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each row with its neighbour in the shuffled batch, all by one share drawn from a Beta."""

    def mixed() -> tuple[tf.Tensor, tf.Tensor]:
        # A Beta is a ratio of two Gammas.
        first, second = tf.unstack(tf.random.stateless_gamma([2], tf.random.fold_in(seed, 0), alpha=mixup))
        share = first / tf.maximum(first + second, 1e-12)
        return (
            share * x + (1.0 - share) * tf.roll(x, 1, axis=1),
            share * target + (1.0 - share) * tf.roll(target, 1, axis=1),
        )

    return tf.cond(mixup > 0.0, mixed, lambda: (x, target))
