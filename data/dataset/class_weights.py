"""Weights of genres in the loss, for collections whose genres differ in size."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

ClassWeight = Literal["none", "balanced"]
"""Names for ``--class-weight``."""

CLASS_WEIGHTS: tuple[ClassWeight, ...] = get_args(ClassWeight)


def class_weights(kind: ClassWeight, labels: np.ndarray, n_classes: int) -> np.ndarray | None:
    """Compute the weight of each genre's rows in the training loss.

    Parameters
    ----------
    kind : str
        ``none``, or ``balanced``: inversely proportional to the genre's number of rows, as in scikit-learn's
        ``compute_class_weight``, with a mean of 1 over the rows.
    labels : ndarray of int, shape (n_rows,)
        Genre numbers of the training rows.
    n_classes : int
        Number of genres.

    Returns
    -------
    ndarray of float32, shape (n_classes,), or None
        None for ``none``. A genre without rows has weight 0.
    """
    if kind == "none":
        return None
    counts = np.bincount(labels, minlength=n_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0.0).astype(np.float32)
