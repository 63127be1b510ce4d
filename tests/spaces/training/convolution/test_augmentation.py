from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from spaces.training.convolution.augmentation import Augmentation, crop, mask, mix

SEED = tf.constant([3, 4], tf.int32)


def batch(n: int = 64, height: int = 6, width: int = 10) -> tf.Tensor:
    """Rows whose values tell their row and their frame, and differ from their mean."""
    row = 1000.0 * np.arange(1, n + 1)[:, None, None, None]
    values = row + np.arange(width)[None, None, :, None] + np.zeros((n, height, width, 1))
    return tf.constant(values.astype(np.float32))


@pytest.mark.parametrize("axis", [1, 2])
def test_a_mask_is_one_stretch_of_an_axis(axis: int) -> None:
    x = tf.random.stateless_normal([64, 6, 10, 1], SEED)
    masked = (mask(x, axis, 0.5, SEED) != x).numpy()
    lengths = []
    for row in masked[..., 0]:
        along = row.all(axis=2 - axis)
        assert np.array_equal(along, row.any(axis=2 - axis))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], along.astype(int), [0]))))
        assert len(edges) in (0, 2)
        lengths.append(along.sum())
    assert max(lengths) == x.shape[axis] // 2
    assert len(set(lengths)) > 2


def test_a_mask_holds_the_rows_mean() -> None:
    x = tf.random.stateless_normal([8, 6, 10, 1], SEED)
    after = mask(x, 2, 1.0, SEED).numpy()
    changed = after != x.numpy()
    for row, where, before in zip(after, changed, x.numpy(), strict=True):
        assert row[where] == pytest.approx(before.mean(), abs=1e-6)


def test_a_crop_is_a_run_of_frames_from_anywhere() -> None:
    cut = crop(batch(), 4, SEED).numpy()[:, 0, :, 0] % 1000
    assert cut.shape == (64, 4)
    assert (np.diff(cut) == 1).all()
    assert set(cut[:, 0]) == set(range(7))


def test_time_goes_round() -> None:
    x = batch()
    shifted = Augmentation(shift=True)(x, tf.zeros([64, 2]), SEED)[0].numpy()[:, 0, :, 0] % 1000
    assert (np.diff(shifted) % 10 == 1).all()
    assert set(shifted[:, 0]) == set(range(10))


def test_rows_are_mixed_as_their_targets_are() -> None:
    target = tf.one_hot(tf.range(64) % 4, 4)
    x, mixed = mix(batch(), target, 0.4, SEED)
    share = tf.reduce_max(mixed, axis=1).numpy()
    assert tf.reduce_sum(mixed, axis=1).numpy() == pytest.approx(1.0)
    assert share.min() < 0.8
    number = np.arange(64)
    own = mixed.numpy()[number, number % 4]
    expected = own * 1000 * (number + 1) + (1 - own) * 1000 * (np.roll(number, 1) + 1)
    assert x.numpy()[:, 0, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_the_seed_decides() -> None:
    everything = Augmentation(time_masks=2, frequency_masks=1, mask_share=0.3, shift=True, mixup=0.4)
    target = tf.one_hot(tf.range(64) % 4, 4)
    first, again, other = (
        everything(batch(), target, tf.constant([1, seed], tf.int32))[0].numpy() for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_vectors_are_only_mixed() -> None:
    x = tf.random.stateless_normal([8, 5], SEED)
    masked, _ = Augmentation(time_masks=2, mask_share=0.5, shift=True)(x, tf.zeros([8, 2]), SEED)
    assert np.array_equal(masked, x)
