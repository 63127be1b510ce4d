"""Which rows each step of an epoch takes, and the seeds of everything that is random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

INITIAL = -1 % 2**31
"""Stands for the epoch in the seeds of the initial weights."""


@dataclass(frozen=True)
class Batches:
    """Which rows each step of an epoch takes.

    Attributes
    ----------
    rows : ndarray of int32, shape (n_steps, n_folds, n_batch)
        Row numbers into each fold's data.
    counts : ndarray of float32, shape (n_steps, n_folds, n_batch)
        1 for rows that count; 0 where a fold's batch is filled up to the others' size by a row of its own.
    """

    rows: np.ndarray
    counts: np.ndarray


def deal_batches(sizes: Sequence[int], batch_size: int, seeds: Sequence[int]) -> Batches:
    """Shuffle each fold's rows and deal them evenly to the steps, so that no step has a small rest.

    All folds have as many steps as the largest of them needs.

    Parameters
    ----------
    sizes : sequence of int
        Number of training rows of each fold.
    batch_size : int
        Most rows of a step.
    seeds : sequence of int
        Seed of each fold's order.
    """
    steps = -(-max(sizes) // batch_size)
    width = -(-max(sizes) // steps)
    rows = np.zeros((steps, len(sizes), width), dtype=np.int32)
    counts = np.zeros((steps, len(sizes), width), dtype=np.float32)
    for fold, (size, seed) in enumerate(zip(sizes, seeds, strict=True)):
        order = np.random.default_rng(seed).permutation(size)
        bounds = np.arange(steps + 1) * size // steps
        # A fold with fewer rows than there are steps takes some of them twice: no step is empty.
        length = np.maximum(np.diff(bounds), 1)[:, None]
        # Where a batch is shorter than the widest, it wraps around to its own first rows.
        rows[:, fold] = order[bounds[:-1, None] + np.arange(width) % length]
        counts[:, fold] = np.arange(width) < length
    return Batches(rows, counts)


def mixed_seed(*numbers: int) -> int:
    """One 31-bit seed of several numbers: a hash that spreads neighbours apart."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
