from __future__ import annotations

import numpy as np
import pytest

from spaces.training.batching import deal_batches, mixed_seed


@pytest.mark.parametrize("sizes", [(12, 12), (13, 11), (18, 20, 19)])
@pytest.mark.parametrize("batch_size", [2, 4, 5, 64])
def test_every_row_counts_once_per_epoch(sizes: tuple[int, ...], batch_size: int) -> None:
    batches = deal_batches(sizes, batch_size, range(len(sizes)))
    for fold, size in enumerate(sizes):
        counted = batches.rows[:, fold][batches.counts[:, fold] > 0]
        assert sorted(counted) == list(range(size))
        assert batches.rows[:, fold].max() < size
    assert batches.rows.shape[2] <= batch_size
    largest = batches.counts[:, int(np.argmax(sizes))].sum(axis=1)
    assert largest.max() - largest.min() <= 1


def test_the_order_of_a_fold_depends_on_its_own_seed_only() -> None:
    reference = deal_batches((12, 12), 4, (5, 6)).rows
    changed = deal_batches((12, 12), 4, (5, 7)).rows
    assert np.array_equal(reference[:, 0], changed[:, 0])
    assert not np.array_equal(reference[:, 1], changed[:, 1])


def test_no_step_of_a_small_fold_is_empty() -> None:
    batches = deal_batches((12, 2), 3, (5, 6))
    assert (batches.counts.sum(axis=2) >= 1).all()
    assert set(batches.rows[:, 1].ravel()) == {0, 1}


def test_neighbouring_numbers_give_different_seeds_of_31_bits() -> None:
    seeds = {mixed_seed(seed, fold, epoch) for seed in range(3) for fold in range(3) for epoch in range(3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**31 for seed in seeds)
