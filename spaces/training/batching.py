"""Assignment of training rows to the steps of an epoch, and derivation of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

INITIAL = -1 % 2**31
"""Replaces the epoch number in the seeds of the initial weights."""


@dataclass(frozen=True)
class Batches:
    """Rows of each step of an epoch.

    Attributes
    ----------
    rows : ndarray of int32, shape (n_steps, n_folds, n_batch)
        Row numbers within the data of each fold.
    counts : ndarray of float32, shape (n_steps, n_folds, n_batch)
        1 for rows that count; 0 for repeated rows that pad a fold's batch to the size of the others.
    """

    rows: np.ndarray
    counts: np.ndarray


def deal_batches(sizes: Sequence[int], batch_size: int, seeds: Sequence[int]) -> Batches:
    """Shuffle the rows of each fold and distribute them evenly, so that no step has a small remainder.

    All folds have the number of steps that the largest fold needs.

    Parameters
    ----------
    sizes : sequence of int
        Number of training rows of each fold.
    batch_size : int
        Maximum number of rows per step.
    seeds : sequence of int
        Seed of the order of each fold.
    """
    steps = -(-max(sizes) // batch_size)
    width = -(-max(sizes) // steps)
    rows = np.zeros((steps, len(sizes), width), dtype=np.int32)
    counts = np.zeros((steps, len(sizes), width), dtype=np.float32)
    for fold, (size, seed) in enumerate(zip(sizes, seeds, strict=True)):
        order = np.random.default_rng(seed).permutation(size)
        bounds = np.arange(steps + 1) * size // steps
        # A fold with fewer rows than steps uses some rows twice, so that no step is empty.
        length = np.maximum(np.diff(bounds), 1)[:, None]
        # A batch shorter than the widest repeats its own first rows.
        rows[:, fold] = order[bounds[:-1, None] + np.arange(width) % length]
        counts[:, fold] = np.arange(width) < length
    return Batches(rows, counts)


def mixed_seed(*numbers: int) -> int:
    """Hash several numbers to one 31-bit seed; neighbouring numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
