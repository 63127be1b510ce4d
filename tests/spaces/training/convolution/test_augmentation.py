from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from spaces.training.convolution.augmentation import Augmentation, crop, mask

SEED = tf.constant([3, 4], tf.int32)


def batch(n: int = 64, height: int = 6, width: int = 10) -> tf.Tensor:
    """Return rows whose values encode row and frame: 1000 times the row's number plus the frame's."""
    thousands = 1000.0 * np.arange(1, n + 1)[:, None, None, None]
    values = thousands + np.arange(width)[None, None, :, None] + np.zeros((n, height, width, 1))
    return tf.constant(values.astype(np.float32))


@pytest.mark.parametrize("axis", [1, 2])
def test_a_mask_covers_one_interval_of_an_axis(axis: int) -> None:
    x = tf.random.stateless_normal([64, 6, 10, 1], SEED)
    masked = (mask(x, axis, 0.5, SEED) != x).numpy()
    lengths = []
    for row in masked[..., 0]:
        positions = row.all(axis=2 - axis)
        assert np.array_equal(positions, row.any(axis=2 - axis))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], positions.astype(int), [0]))))
        assert len(edges) in (0, 2)
        lengths.append(positions.sum())
    assert max(lengths) == x.shape[axis] // 2
    assert len(set(lengths)) > 2


def test_a_mask_contains_the_mean_of_its_row() -> None:
    x = tf.random.stateless_normal([8, 6, 10, 1], SEED)
    after = mask(x, 2, 1.0, SEED).numpy()
    changed = after != x.numpy()
    for row, masked, original in zip(after, changed, x.numpy(), strict=True):
        assert row[masked] == pytest.approx(original.mean(), abs=1e-6)


def test_a_crop_has_consecutive_frames_from_any_position() -> None:
    frames = crop(batch(), 4, SEED).numpy()[:, 0, :, 0] % 1000
    assert frames.shape == (64, 4)
    assert (np.diff(frames) == 1).all()
    assert set(frames[:, 0]) == set(range(7))


def test_a_shift_rotates_each_row_along_time() -> None:
    x = batch()
    shifted = Augmentation(shift=True)(x, tf.zeros([64, 2]), SEED)[0].numpy()[:, 0, :, 0] % 1000
    assert (np.diff(shifted) % 10 == 1).all()
    assert set(shifted[:, 0]) == set(range(10))


def test_the_result_depends_on_the_seed_only() -> None:
    augment = Augmentation(time_masks=2, frequency_masks=1, mask_share=0.3, shift=True, mixup=0.4)
    target = tf.one_hot(tf.range(64) % 4, 4)
    first, repeated, other = (
        augment(batch(), target, tf.constant([1, seed], tf.int32))[0].numpy() for seed in (5, 5, 6)
    )
    assert np.array_equal(first, repeated)
    assert not np.array_equal(first, other)


def test_vectors_are_neither_masked_nor_shifted() -> None:
    x = tf.random.stateless_normal([8, 5], SEED)
    unchanged, _ = Augmentation(time_masks=2, mask_share=0.5, shift=True)(x, tf.zeros([8, 2]), SEED)
    assert np.array_equal(unchanged, x)
