"""Average the probabilities of segments to those of tracks, and score the tracks of a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data.dataset.scores import score

if TYPE_CHECKING:
    from data.dataset.task import Task


def vote(probabilities: np.ndarray, track: np.ndarray, n_tracks: int) -> np.ndarray:
    """Average the probabilities of each track's segments.

    Parameters
    ----------
    probabilities : ndarray, shape (n_rows, n_classes)
        One row per segment.
    track : ndarray of int, shape (n_rows,)
        Number of each row's track, from 0 to `n_tracks` - 1.
    n_tracks : int
        Number of tracks.

    Returns
    -------
    ndarray of float64, shape (n_tracks, n_classes)
        One row per track; zeros for a track without a row.
    """
    total = np.zeros((n_tracks, probabilities.shape[1]))
    np.add.at(total, track, probabilities)
    count = np.bincount(track, minlength=n_tracks)
    return total / np.maximum(count, 1)[:, None]


def track_probabilities(task: Task, by_fold: tuple[np.ndarray, ...]) -> np.ndarray:
    """Collect the out-of-fold probabilities of all validated tracks.

    Parameters
    ----------
    task : Task
        The task with its folds.
    by_fold : tuple of ndarray, each of shape (n_valid_rows, n_classes)
        Probabilities of each fold's validation rows.

    Returns
    -------
    ndarray of float64, shape (n_validated, n_classes)
        One row per track of `Task.validated`.
    """
    rows = np.concatenate([fold.valid for fold in task.folds])
    voted = vote(np.concatenate(by_fold), task.track[rows], len(task.track_id))
    return voted[task.validated]


def scores(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score tracks; the keys are the column names in the tables of a run (see `data.dataset.scores.score`).

    All folds are scored together, so that each track counts once.
    """
    return score(probabilities, truth).columns()
