"""Weights of dense networks in a layout that does not depend on depth and normalisation.

One compiled epoch serves all networks because each of them has the same number of arrays: three for every
possible hidden layer (see `spaces.training.dense.layers.HiddenLayer`), then kernel and bias of the output
layer. The arrays of absent layers are empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spaces.training.dense.network import Architecture

MAX_LAYERS = 3
"""Number of hidden layers that a compiled epoch has by default."""

_VECTORS = {"none": 1, "batch": 3, "layer": 3}
"""Number of vectors per hidden layer in the Keras model: bias, scale and shift."""


def packed(weights: Sequence[np.ndarray], architecture: Architecture, max_layers: int) -> list[np.ndarray]:
    """Return the weights of one fold in the layout of the compiled epoch.

    Parameters
    ----------
    weights : sequence of ndarray of float32
        Weights in the order of the Keras model.
    architecture : Architecture
        The network.
    max_layers : int
        Number of hidden layers of the layout, at least those of the network.
    """
    remaining = list(weights)
    arrays = []
    for units in architecture.units:
        kernel = remaining.pop(0)
        vectors = np.array([[0.0], [1.0], [0.0]], np.float32).repeat(units, axis=1)
        moments = np.array([[0.0], [1.0]], np.float32).repeat(units, axis=1)
        for row in range(_VECTORS[architecture.normalisation]):
            vectors[row] = remaining.pop(0)
        if architecture.normalisation == "batch":
            moments[:] = remaining.pop(0), remaining.pop(0)
        arrays += [kernel, vectors, moments]
    for _ in range(max_layers - len(architecture.units)):
        arrays += [np.zeros((n, 0), np.float32) for n in (0, 3, 2)]
    kernel, bias = remaining
    return [*arrays, kernel, bias[None]]


def unpacked(arrays: Sequence[np.ndarray], architecture: Architecture) -> list[np.ndarray]:
    """Return the weights of one fold in the order of the Keras model: the inverse of `packed`."""
    weights: list[np.ndarray] = []
    for layer in range(len(architecture.units)):
        kernel, vectors, moments = arrays[3 * layer : 3 * layer + 3]
        weights += [kernel, *vectors[: _VECTORS[architecture.normalisation]]]
        if architecture.normalisation == "batch":
            weights += [*moments]
    kernel, bias = arrays[-2:]
    return [*weights, kernel, bias[0]]
