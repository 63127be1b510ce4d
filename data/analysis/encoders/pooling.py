"""Pool the vectors of a segment's patches into one vector."""

from __future__ import annotations

import numpy as np

POOLINGS = {"mean": 1, "mean-std": 2}
"""Pooling methods, with the length of the result as a multiple of the encoder's dimension."""


def pool(vectors: np.ndarray, pooling: str) -> np.ndarray:
    """Pool vectors over patches.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n_patches, d)
        At least one vector.
    pooling : str
        ``mean``, or ``mean-std``: the mean, followed by the standard deviation.

    Returns
    -------
    ndarray of float32, shape (d,) or (2 * d,)
        The vector of the segment.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    if pooling == "mean":
        return mean.astype(np.float32)
    return np.concatenate([mean, vectors.std(axis=0, dtype=np.float64)]).astype(np.float32)
