"""The mean of a network's weights over its last epochs, as one network.

A trial is scored by the mean probabilities of several epochs, which would need as many networks in an export.
One network with the mean of their weights predicts new tracks about as well (Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization", 2018); ``benchmarks/score_window.py`` compares both.
Moving statistics of batch normalisation are averaged like weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spaces.training.family import Fitted, Learner


def fitted_mean(
    learner: Learner, *, epochs: int, window: int, on_epoch: Callable[[int], None] = lambda _: None
) -> Fitted:
    """Train a new learner with one fold; return the network with the mean weights of its last epochs.

    Parameters
    ----------
    learner : Learner
        An untrained learner.
    epochs : int
        Number of epochs to train.
    window : int
        Number of last epochs whose weights are averaged; 1 returns the network of the last epoch.
    on_epoch : callable
        Called with the number of epochs that are done after each of them.

    Returns
    -------
    Fitted
        The network of fold 0, with its preparation.
    """
    totals: list[np.ndarray] = []
    n_averaged = min(window, epochs)
    for epoch in range(epochs):
        learner.run_epoch(epoch)
        on_epoch(epoch + 1)
        if n_averaged > 1 and epochs - n_averaged <= epoch:
            weights = learner.fitted().model.get_weights()
            # Frozen weights stay bit-identical, because sums of a few equal floats are exact in float64.
            totals = totals or [np.zeros(np.shape(values)) for values in weights]
            totals = [total + values for total, values in zip(totals, weights, strict=True)]
    fitted = learner.fitted()
    if totals:
        fitted.model.set_weights([total / n_averaged for total in totals])
    return fitted
