"""Numbers of a judgement: accuracy with its interval, F1, the confusion matrix, each genre."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.dataset.intervals import wilson


def judge(probabilities: np.ndarray, truth: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Score tracks.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row a track, at least one.
    truth : ndarray of int, shape (n_tracks,)
        Number of each track's genre.
    classes : list of str
        Genres.

    Returns
    -------
    dict
        JSON-like: ``accuracy`` with its 95 % Wilson interval ``low`` and ``high``, ``n``, ``macro_f1``,
        ``confusion`` (a row a true genre, a column a chosen one) and ``genres`` (``precision``, ``recall``
        and ``n`` of each).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    chosen = probabilities.argmax(axis=1)
    labels = range(len(classes))
    right, n = int((chosen == truth).sum()), len(truth)
    low, high = wilson(right, n)
    precision, recall, f1, count = precision_recall_fscore_support(
        truth, chosen, labels=labels, average=None, zero_division=0
    )
    return {
        "accuracy": right / n,
        "low": float(low),
        "high": float(high),
        "n": n,
        "macro_f1": float(np.mean(f1)),
        "confusion": confusion_matrix(truth, chosen, labels=labels).tolist(),
        "genres": {
            genre: {
                "precision": float(precision[number]),
                "recall": float(recall[number]),
                "n": int(count[number]),
            }
            for number, genre in enumerate(classes)
        },
    }
