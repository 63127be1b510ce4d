"""The forward pass of dense networks, one per fold, with their weights in the order of the Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from spaces.training.dense import layers
from spaces.training.dense.activations import activate

_NORMALISATION_WEIGHTS = {"none": 0, "batch": 4, "layer": 2}
"""Number of weights of each normalisation."""
_BATCH_MOMENTS = (4, 5)
"""Positions of the moving mean and variance among the weights of a layer with batch normalisation."""
_INPUT_DRAW = 1
"""Number of the random draw of the input's dropout; hidden layers use the following numbers."""


class TrainingPass(NamedTuple):
    """Arguments that the forward pass needs in training only.

    Attributes
    ----------
    variables : sequence of tf.Variable
        The network's weights as variables; batch normalisation updates its moving moments in them.
    mask : tf.Tensor of float32, shape (n_folds, n_rows, 1)
        1 for rows that count, 0 for padding.
    seed : tf.Tensor of int32, shape (2,)
        Seed of the step.
    input_dropout, dropout : tf.Tensor of float32, shape ()
        Dropout rates of the input and of the hidden layers.
    """

    variables: Sequence[tf.Variable]
    mask: tf.Tensor
    seed: tf.Tensor
    input_dropout: tf.Tensor
    dropout: tf.Tensor


@dataclass(frozen=True)
class ForwardPass:
    """The forward pass of all networks with the same number of layers and the same normalisation.

    Attributes
    ----------
    depth : int
        Number of hidden layers.
    normalisation : str
        One of `spaces.training.dense.network.NORMALISATIONS`.
    """

    depth: int
    normalisation: str

    @property
    def ranks(self) -> list[int]:
        """Rank of each weight, including the fold axis."""
        hidden_layer = [3, 2, *[2] * _NORMALISATION_WEIGHTS[self.normalisation]]
        return [*hidden_layer * self.depth, 3, 2]

    @property
    def trained(self) -> list[int]:
        """Positions of the weights that have gradients: all but moving moments."""
        moments = _BATCH_MOMENTS if self.normalisation == "batch" else ()
        return [
            position
            for position in range(len(self.ranks))
            if position >= self.depth * self._layer_size or position % self._layer_size not in moments
        ]

    @property
    def kernels(self) -> list[int]:
        """Positions of the kernels."""
        return [position for position, rank in enumerate(self.ranks) if rank == 3]

    @property
    def _layer_size(self) -> int:
        """Number of weights per hidden layer."""
        return 2 + _NORMALISATION_WEIGHTS[self.normalisation]

    def logits(
        self,
        weights: Sequence[tf.Tensor],
        x: tf.Tensor,
        activation: tf.Tensor,
        training: TrainingPass | None = None,
    ) -> tf.Tensor:
        """Apply the networks.

        Parameters
        ----------
        weights : sequence of tf.Tensor of float32
            Weights in the order of the Keras model, each with a fold axis in front.
        x : tf.Tensor of float32, shape (n_folds, n_rows, n_inputs)
            Prepared inputs.
        activation : tf.Tensor of int32, shape ()
            Position in `spaces.training.dense.network.ACTIVATIONS`.
        training : TrainingPass, optional
            Arguments for training; without them, the networks are evaluated.

        Returns
        -------
        tf.Tensor of float32, shape (n_folds, n_rows, n_classes)
            Logits.
        """
        if training is not None:
            x = layers.dropout(x, training.input_dropout, training.seed, _INPUT_DRAW)
        for layer in range(self.depth):
            start = layer * self._layer_size
            kernel, bias, *norm = weights[start : start + self._layer_size]
            x = self._normalised(layers.dense(x, kernel, bias), norm, start, training)
            x = activate(x, activation)
            if training is not None:
                x = layers.dropout(x, training.dropout, training.seed, _INPUT_DRAW + 1 + layer)
        return layers.dense(x, *weights[-2:])

    def _normalised(
        self, x: tf.Tensor, norm: Sequence[tf.Tensor], start: int, training: TrainingPass | None
    ) -> tf.Tensor:
        """Normalise a hidden layer whose weights begin at position `start`."""
        match self.normalisation:
            case "batch":
                gamma, beta, *moving = norm
                if training is None:
                    mean, variance = (moment[:, None] for moment in moving)
                else:
                    mean, variance = layers.batch_moments(x, training.mask)
                    for offset, old, new in zip(_BATCH_MOMENTS, moving, (mean, variance), strict=True):
                        change = (1.0 - layers.MOMENTUM) * (new[:, 0] - old)
                        training.variables[start + offset].assign_add(change)
            case "layer":
                gamma, beta = norm
                mean, variance = layers.row_moments(x)
            case _:
                return x
        return layers.normalise(x, mean, variance, gamma, beta)
