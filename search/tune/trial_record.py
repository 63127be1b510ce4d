"""The record of a trial: its epochs, the best of them, and their predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from data.dataset.epoch_predictions import EpochPredictions
from data.dataset.score_window import ScoreWindow
from data.dataset.scores import Metric, score
from search.storage.checkpoint import Checkpoint
from search.tune.reports import SCORE, epoch_merit


class TrialRecord:
    """What a trial has reached so far.

    The score of an epoch is that of the mean probabilities of the window of epochs that ends with it.

    Parameters
    ----------
    truth : ndarray of int64, shape (n_tracks,)
        Genre numbers of the validated tracks.
    metric : str
        Metric that chooses the best epoch.
    window : int
        Number of epochs in the window.

    Attributes
    ----------
    epoch : int
        Number of finished epochs.
    best : dict
        Row of the best epoch; empty before the first one.
    best_probabilities : ndarray of float64, shape (n_tracks, n_classes), or None
        Mean probabilities of the window that ends with the best epoch. None before the first epoch, and after
        restoring a checkpoint of an earlier version.
    epoch_predictions : EpochPredictions
        Predicted genres of all epochs.
    """

    def __init__(self, truth: np.ndarray, *, metric: Metric, window: int) -> None:
        self._truth = truth
        self._metric = metric
        self._window = ScoreWindow(window)
        self._curve: list[dict[str, float]] = []
        self._n_taken = 0
        self.epoch = 0
        self.best: dict[str, float] = {}
        self.best_probabilities: np.ndarray | None = None
        self.epoch_predictions = EpochPredictions(len(truth))

    def add(self, probabilities: np.ndarray, *, train_loss: float, train_accuracy: float) -> None:
        """Add the next epoch.

        Parameters
        ----------
        probabilities : ndarray of float, shape (n_tracks, n_classes)
            Probabilities of the validated tracks after the epoch; all are finite.
        train_loss, train_accuracy : float
            Scores on the training tracks.
        """
        self.epoch += 1
        mean = self._window.add(probabilities)
        row = {
            "epoch": self.epoch,
            **score(mean, self._truth).columns(),
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
        }
        self._curve.append(row)
        self.epoch_predictions.add(mean)
        if self._rank(row) > self._rank(self.best):
            self.best, self.best_probabilities = row, mean

    def merit(self, row: Mapping[str, float]) -> float:
        """Return the score of an epoch by the metric, greater for better ones; the worst if it has none."""
        return epoch_merit(row, self._metric)

    def take_new_rows(self) -> list[dict[str, float]]:
        """Return the rows of the epochs since the last call, with what scheduler and sampler maximise."""
        rows = self._curve[self._n_taken :]
        self._n_taken = len(self._curve)
        return [{**row, SCORE: self.merit(row)} for row in rows]

    def checkpoint(self, progress: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Checkpoint:
        """Return a checkpoint of the record, with further progress and the state of the learner."""
        own = {"epoch": self.epoch, "best": self.best, "curve": self._curve}
        return Checkpoint({**progress, **own}, state, self.best_probabilities, self._window.state())

    def restore(self, checkpoint: Checkpoint, epoch_predictions: EpochPredictions) -> None:
        """Restore a checkpoint into a new record; all its epochs are new rows, which a new driver needs.

        Raises
        ------
        RunError
            If the checkpoint lacks epochs of the window; the record is unchanged then.
        """
        progress = checkpoint.progress
        self._window.restore(checkpoint.recent_probabilities, epoch=progress["epoch"])
        self.epoch, self.best, self._curve = progress["epoch"], progress["best"], progress["curve"]
        self.best_probabilities = checkpoint.best_probabilities
        self.epoch_predictions = epoch_predictions

    def _rank(self, row: Mapping[str, float]) -> tuple[float, float]:
        """Return the sort key of an epoch: by the metric, then by the lower loss."""
        return (self.merit(row), -row["val_loss"]) if row else (-math.inf, -math.inf)
