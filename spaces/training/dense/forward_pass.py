"""The dense networks of all folds inside the graph: predictions, losses and gradients.

The functions serve all networks with at most as many hidden layers as weights are passed. Weights of absent
layers are empty, and branches in the graph skip these layers. TensorFlow traces a layer once and calls it for
each layer, because tracing takes longer than many epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from spaces.training.dense import layers
from spaces.training.dense.layers import HiddenLayer, Kind, Noise, Trace
from spaces.training.dense.network import ACTIVATIONS, NORMALISATIONS, Architecture

_INPUT_DRAW = 1
"""Number of the random draw of the input's dropout; hidden layers use the following numbers."""


class Form(NamedTuple):
    """Depth, activation and normalisation of the networks as numbers inside the graph.

    Attributes
    ----------
    depth : tf.Tensor of int32, shape ()
        Number of hidden layers.
    kind : Kind
        Activation and normalisation.
    """

    depth: tf.Tensor
    kind: Kind

    @classmethod
    def of(cls, architecture: Architecture) -> Form:
        """Return the form of an architecture.

        Raises
        ------
        ValueError
            If its activation or normalisation does not exist.
        """
        kind = Kind(
            position(architecture.activation, ACTIVATIONS),
            position(architecture.normalisation, NORMALISATIONS),
        )
        return cls(tf.constant(len(architecture.units)), kind)


class Dropout(NamedTuple):
    """Dropout of a training step.

    Attributes
    ----------
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    input_rate, rate : tf.Tensor of float32, shape ()
        Dropout rates of the input and of the hidden layers.
    """

    seed: tf.Tensor
    input_rate: tf.Tensor
    rate: tf.Tensor


def position(name: str, names: Sequence[str]) -> tf.Tensor:
    """Return the position of a name as a tensor of int32.

    Raises
    ------
    ValueError
        If it is not one of `names`.
    """
    if name not in names:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}")
    return tf.constant(names.index(name))


def logits(weights: Sequence[tf.Tensor], x: tf.Tensor, form: Form) -> tf.Tensor:
    """Evaluate the networks.

    Parameters
    ----------
    weights : sequence of tf.Tensor of float32
        Weights as in `spaces.training.dense.weights.packed`, each with a fold axis in front.
    x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
        Prepared inputs.
    form : Form
        Depth, activation and normalisation.

    Returns
    -------
    tf.Tensor of float32, shape (n_folds, n_rows, n_classes)
        Logits.
    """
    hidden_layers, (kernel, bias) = _by_layer(weights)
    for number, layer in enumerate(hidden_layers):
        x = _evaluated(x, layer, form, number)
    return layers.dense(x, kernel, bias)


class TrainingPass:
    """One training step of the networks, forward and backward.

    Parameters
    ----------
    weights : sequence of tf.Tensor of float32
        Weights as in `logits`.
    x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
        Prepared inputs.
    mask : tf.Tensor of float32, shape (n_folds, n_rows, 1)
        1 for rows that count, 0 for padding.
    form : Form
        Depth, activation and normalisation.
    dropout : Dropout
        Dropout of the step.

    Attributes
    ----------
    logits : tf.Tensor of float32, shape (n_folds, n_rows, n_classes)
        Logits.
    moments : list of tf.Tensor of float32, shape (n_folds, 2, units)
        Moving moments of each hidden layer after the step.
    """

    def __init__(
        self, weights: Sequence[tf.Tensor], x: tf.Tensor, mask: tf.Tensor, form: Form, dropout: Dropout
    ) -> None:
        self._hidden_layers, (self._kernel, bias) = _by_layer(weights)
        self._mask, self._form = mask, form
        self._traces: list[Trace] = []
        self.moments: list[tf.Tensor] = []
        (x,) = layers.dropout((x,), Noise(dropout.input_rate, dropout.seed, tf.constant(_INPUT_DRAW)))
        for number, layer in enumerate(self._hidden_layers):
            noise = Noise(dropout.rate, dropout.seed, tf.constant(_INPUT_DRAW + 1 + number))
            x, moments, trace = self._trained(x, layer, noise, number)
            self.moments.append(moments)
            self._traces.append(trace)
        self._last = x
        self.logits = layers.dense(x, self._kernel, bias)

    def _trained(
        self, x: tf.Tensor, layer: HiddenLayer, noise: Noise, number: int
    ) -> tuple[tf.Tensor, tf.Tensor, Trace]:
        """Apply a hidden layer, if it is present."""
        return tf.cond(
            number < self._form.depth,
            lambda: _hidden(x, layer, self._form.kind, self._mask, noise),
            lambda: (x, layer.moments, Trace(x, x, x, self._mask)),
        )

    def gradients(self, upstream: tf.Tensor) -> list[tf.Tensor]:
        """Return the gradients of all weights but the moving moments, in the order of the weights.

        Parameters
        ----------
        upstream : tf.Tensor of float32, shape (n_folds, n_rows, n_classes)
            Gradient of the loss with respect to `logits`; 0 in rows of padding.
        """
        gradients = list(layers.dense_gradients(upstream, self._last))
        upstream = tf.matmul(upstream, self._kernel, transpose_b=True)
        for number in reversed(range(len(self._hidden_layers))):
            upstream, *layer_gradients = self._layer_gradients(upstream, number)
            gradients = [*layer_gradients, *gradients]
        return gradients

    def _layer_gradients(self, upstream: tf.Tensor, number: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the gradients of a hidden layer's inputs, kernel and vectors; empty ones if it is absent."""
        layer, trace = self._hidden_layers[number], self._traces[number]
        return tf.cond(
            number < self._form.depth,
            lambda: _hidden_gradients(upstream, trace, layer, self._form.kind, self._mask),
            lambda: (upstream, layer.kernel, layer.vectors),
        )


_hidden = tf.function(layers.hidden, autograph=False)
_hidden_gradients = tf.function(layers.hidden_gradients, autograph=False)
_hidden_for_evaluation = tf.function(layers.hidden_for_evaluation, autograph=False)


def _evaluated(x: tf.Tensor, layer: HiddenLayer, form: Form, number: int) -> tf.Tensor:
    """Evaluate a hidden layer, if it is present."""
    return tf.cond(number < form.depth, lambda: _hidden_for_evaluation(x, layer, form.kind), lambda: x)


def _by_layer(weights: Sequence[tf.Tensor]) -> tuple[list[HiddenLayer], Sequence[tf.Tensor]]:
    """Return the weights of each hidden layer and those of the output layer."""
    *hidden, kernel, bias = weights
    size = len(HiddenLayer._fields)
    return [HiddenLayer(*hidden[start : start + size]) for start in range(0, len(hidden), size)], (
        kernel,
        bias,
    )
