"""Compute all metrics of one set of predictions: scores with intervals, confusion matrix, each genre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.dataset.intervals import accuracy_interval
from data.dataset.scores import score
from data.dataset.track_groups import TrackGroups


def judge(
    probabilities: np.ndarray,
    truth: np.ndarray,
    classes: Sequence[str],
    groups: TrackGroups | None = None,
) -> dict[str, Any]:
    """Score tracks.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track, at least one.
    truth : ndarray of int, shape (n_tracks,)
        Number of each track's genre.
    classes : sequence of str
        Genres.
    groups : TrackGroups, optional
        Groups of the tracks; by default, the tracks are independent.

    Returns
    -------
    dict
        JSON-like: ``accuracy`` with its 95 % interval ``low`` and ``high`` (Wilson's, for the effective
        number of tracks), ``n``, ``n_groups`` (None if no groups are known), ``balanced_accuracy``,
        ``macro_f1``, ``log_loss``, ``confusion`` (a row per true genre, a column per predicted one) and
        ``genres`` (``precision``, ``recall`` and ``n`` of each).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    predicted = probabilities.argmax(axis=1)
    right = predicted == truth
    labels = range(len(classes))
    low, high = accuracy_interval(right, groups or TrackGroups.independent(len(truth)))
    precision, recall, _, count = precision_recall_fscore_support(
        truth, predicted, labels=labels, average=None, zero_division=0
    )
    scores = score(probabilities, truth)
    return {
        "accuracy": scores.accuracy,
        "low": float(low),
        "high": float(high),
        "n": len(truth),
        "n_groups": None if groups is None else groups.n_groups,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "log_loss": scores.log_loss,
        "confusion": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "genres": {
            genre: {
                "precision": float(precision[number]),
                "recall": float(recall[number]),
                "n": int(count[number]),
            }
            for number, genre in enumerate(classes)
        },
    }
