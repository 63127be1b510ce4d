"""The window of epochs whose mean probabilities are a trial's score.

The best of many single epochs is partly luck: neighbouring epochs of a network differ by about a point. A
trial is therefore scored by the mean probabilities of a few consecutive epochs, and exactly these are
stored, compared, corrected and combined in ensembles.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from data.errors import RunError

SCORE_WINDOW = 5
"""Number of epochs in the window; chosen by ``benchmarks/score_window.py``."""

_MAX_SHARE = 6
"""A window is at most one in this many of a trial's epochs, rounded up: short ones improve quickly."""


def window_epochs(score_window: int, horizon: int) -> int:
    """Return the number of epochs in the window of a trial.

    Parameters
    ----------
    score_window : int
        Maximum number of epochs; 1 for the rule of older runs, single epochs.
    horizon : int
        Number of epochs of the trial's configuration.
    """
    return max(1, min(score_window, math.ceil(horizon / _MAX_SHARE)))


class ScoreWindow:
    """Running mean of the probabilities of a trial's last epochs.

    Parameters
    ----------
    n_epochs : int
        Number of epochs in the window. Before as many have ended, the mean is over those that have.
    """

    def __init__(self, n_epochs: int) -> None:
        self._previous: deque[np.ndarray] = deque(maxlen=n_epochs - 1)

    def add(self, probabilities: np.ndarray) -> np.ndarray:
        """Add the next epoch; return the mean over the window that ends with it.

        Parameters
        ----------
        probabilities : ndarray of float, shape (n_tracks, n_classes)
            Probabilities after the epoch.

        Returns
        -------
        ndarray of float64, shape (n_tracks, n_classes)
        """
        if self._previous.maxlen:
            # Half the memory, also in checkpoints. The current epoch is rounded like the others, so that the
            # mean of equal epochs equals each of them.
            probabilities = probabilities.astype(np.float32)
        total = probabilities.astype(np.float64)
        for previous in self._previous:
            total += previous
        mean = total / (1 + len(self._previous))
        self._previous.append(probabilities)
        return np.asarray(mean)

    def state(self) -> np.ndarray | None:
        """Return the epochs that are kept, float32, shape (n, n_tracks, n_classes); None for none."""
        return np.array(self._previous) if self._previous else None

    def restore(self, state: np.ndarray | None, *, epoch: int) -> None:
        """Restore what `state` returned after `epoch` epochs.

        Raises
        ------
        RunError
            If the state lacks epochs of the window, as that of a window of another length.
        """
        previous = [] if state is None else list(state)
        if len(previous) != min(epoch, self._previous.maxlen or 0):
            raise RunError("the checkpoint lacks the probabilities of earlier epochs")
        self._previous.clear()
        self._previous.extend(previous)
