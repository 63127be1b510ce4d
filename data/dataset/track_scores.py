"""From the probabilities of segments to the judgement of tracks, and the numbers that a trial reports."""

from __future__ import annotations

import numpy as np

from data.dataset.task import Task

_FLOOR = 1e-7
"""Least probability that enters a logarithm (Keras's epsilon)."""


def vote(probabilities: np.ndarray, track: np.ndarray, n_tracks: int) -> np.ndarray:
    """Mean probability over each track's segments.

    Parameters
    ----------
    probabilities : ndarray, shape (n_rows, n_classes)
        One row a segment.
    track : ndarray of int, shape (n_rows,)
        Number of each row's track, from 0 to `n_tracks` - 1.
    n_tracks : int
        Number of tracks.

    Returns
    -------
    ndarray of float64, shape (n_tracks, n_classes)
        One row a track; zeros where a track has no row.
    """
    total = np.zeros((n_tracks, probabilities.shape[1]))
    np.add.at(total, track, probabilities)
    count = np.bincount(track, minlength=n_tracks)
    return total / np.maximum(count, 1)[:, None]


def track_probabilities(task: Task, by_fold: tuple[np.ndarray, ...]) -> np.ndarray:
    """Out-of-fold probabilities of all validated tracks.

    Parameters
    ----------
    task : Task
        The task, for its folds.
    by_fold : tuple of ndarray, each of shape (n_valid_rows, n_classes)
        Probabilities of each fold's validation rows.

    Returns
    -------
    ndarray of float64, shape (n_validated, n_classes)
        One row for each track of `Task.validated`.
    """
    rows = np.concatenate([fold.valid for fold in task.folds])
    voted = vote(np.concatenate(by_fold), task.track[rows], len(task.track_id))
    return voted[task.validated]


def scores(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score tracks.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row a track.
    truth : ndarray of int, shape (n_tracks,)
        Number of each track's genre.

    Returns
    -------
    dict
        ``val_accuracy``: share of the tracks whose likeliest genre is right (over all folds together, so that
        each track counts once); ``val_loss``: mean negative logarithm of the true genre's probability, in
        nats; ``val_macro_f1``: mean over genres of F1.
    """
    chosen = probabilities.argmax(axis=1)
    true_share = probabilities[np.arange(len(truth)), truth]
    return {
        "val_accuracy": float(np.mean(chosen == truth)),
        "val_loss": float(-np.log(np.maximum(true_share, _FLOOR)).mean()),
        "val_macro_f1": _macro_f1(truth, chosen, probabilities.shape[1]),
    }


def _macro_f1(truth: np.ndarray, chosen: np.ndarray, n_classes: int) -> float:
    """Mean over genres of F1, 0 for a genre that is neither true nor chosen.

    scikit-learn's checks of the same two arrays take 2 ms, once an epoch: as long as the whole epoch of a
    small network.
    """
    true, found, hit = (
        np.bincount(genres, minlength=n_classes) for genres in (truth, chosen, truth[chosen == truth])
    )
    return float(np.mean(2 * hit / np.maximum(true + found, 1)))
