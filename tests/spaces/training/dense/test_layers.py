from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.dense import layers

FOLDS, ROWS, UNITS = 3, 10, 5
RNG = np.random.default_rng(0)
X = tf.constant(RNG.normal(2, 3, size=(FOLDS, ROWS, UNITS)), tf.float32)


def weights(*shape: int) -> tf.Tensor:
    return tf.constant(RNG.uniform(0.5, 1.5, size=(FOLDS, *shape)), tf.float32)


def test_each_fold_has_its_own_dense_layer() -> None:
    kernel, bias = weights(UNITS, 4), weights(4)
    y = layers.dense(X, kernel, bias)
    for fold in range(FOLDS):
        reference = keras.layers.Dense(4)
        reference.build((None, UNITS))
        reference.set_weights([kernel[fold].numpy(), bias[fold].numpy()])
        assert y[fold].numpy() == pytest.approx(reference(X[fold]).numpy(), abs=1e-5)


def test_normalising_by_row_moments_equals_keras_layer_normalization() -> None:
    gamma, beta = weights(UNITS), weights(UNITS)
    y = layers.normalise(X, *layers.row_moments(X), gamma, beta)
    for fold in range(FOLDS):
        reference = keras.layers.LayerNormalization()
        reference.build((None, UNITS))
        reference.set_weights([gamma[fold].numpy(), beta[fold].numpy()])
        assert y[fold].numpy() == pytest.approx(reference(X[fold]).numpy(), abs=1e-5)


def test_normalising_by_batch_moments_equals_keras_batch_normalization_of_the_counted_rows() -> None:
    gamma, beta = weights(UNITS), weights(UNITS)
    mask = np.tile((np.arange(ROWS) < 7).astype(np.float32)[None, :, None], (FOLDS, 1, 1))
    y = layers.normalise(X, *layers.batch_moments(X, tf.constant(mask)), gamma, beta)
    for fold in range(FOLDS):
        reference = keras.layers.BatchNormalization()
        reference.build((None, UNITS))
        zeros, ones = np.zeros(UNITS, np.float32), np.ones(UNITS, np.float32)
        reference.set_weights([gamma[fold].numpy(), beta[fold].numpy(), zeros, ones])
        expected = reference(X[fold, :7], training=True).numpy()
        assert y[fold, :7].numpy() == pytest.approx(expected, abs=1e-4)


def test_dropout_keeps_the_mean_and_depends_on_seed_and_layer() -> None:
    x, rate, seed = tf.ones((2, 2000, 4)), tf.constant(0.4), tf.constant([1, 2])
    first, again, other = (layers.dropout(x, rate, seed, number) for number in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert float(tf.reduce_mean(first)) == pytest.approx(1.0, abs=0.05)
    assert float(tf.reduce_mean(tf.cast(first == 0.0, tf.float32))) == pytest.approx(0.4, abs=0.02)
    # The folds share the draw, so that a fold does not depend on the number of folds.
    assert np.array_equal(first[0], first[1])


def test_a_dropout_rate_of_zero_changes_nothing() -> None:
    assert np.array_equal(layers.dropout(X, tf.constant(0.0), tf.constant([1, 2]), 1), X)
