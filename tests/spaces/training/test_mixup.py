from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from spaces.training.mixup import mix_neighbours

SEED = tf.constant([3, 4], tf.int32)
N = 64
GENRES = np.arange(N) % 4
NUMBERS = np.arange(1.0, N + 1)


def test_each_row_and_its_target_are_mixed_with_the_next_by_the_same_weight() -> None:
    x = tf.constant(np.tile(NUMBERS[:, None, None, None], (1, 2, 3, 1)), tf.float32)
    mixed, target = mix_neighbours((x, tf.one_hot(GENRES, 4)), 0.4, SEED)
    weight = target.numpy()[np.arange(N), GENRES]
    assert target.numpy().sum(axis=1) == pytest.approx(1.0)
    assert len(np.unique(weight)) > N / 2
    expected = weight * NUMBERS + (1 - weight) * np.roll(NUMBERS, 1)
    assert mixed.numpy() == pytest.approx(np.tile(expected[:, None, None, None], (1, 2, 3, 1)), rel=1e-5)


def test_a_batch_of_several_folds_can_have_a_single_weight() -> None:
    x = tf.constant(np.stack([NUMBERS, 100 * NUMBERS])[:, :, None], tf.float32)
    y = tf.one_hot(np.stack([GENRES, GENRES]), 4)
    mixed, target = mix_neighbours((x, y), tf.constant(0.4), SEED, row_axis=1, per_row=False)
    weights = target.numpy()[:, np.arange(N), GENRES]
    assert weights == pytest.approx(weights[0, 0])
    expected = weights[0, 0] * NUMBERS + (1 - weights[0, 0]) * np.roll(NUMBERS, 1)
    assert mixed.numpy()[0, :, 0] == pytest.approx(expected, rel=1e-5)
    assert mixed.numpy()[1] == pytest.approx(100 * mixed.numpy()[0], rel=1e-5)


def test_weights_follow_the_beta_distribution() -> None:
    target = tf.one_hot(np.arange(20_000) % 2, 2)
    mixed = mix_neighbours((target,), 0.4, SEED)[0].numpy()
    weights = mixed[np.arange(len(mixed)), np.arange(len(mixed)) % 2]
    assert weights.mean() == pytest.approx(0.5, abs=0.02)
    assert weights.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)
