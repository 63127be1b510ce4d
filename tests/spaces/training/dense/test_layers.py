from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.dense.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    FoldLayer,
    LayerNormalization,
    Pass,
)

FOLDS, ROWS, UNITS = 3, 10, 5


def inputs() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(2, 3, size=(FOLDS, ROWS, UNITS)), tf.float32)


def training(counted: int = ROWS) -> Pass:
    mask = (np.arange(ROWS) < counted).astype(np.float32)
    return Pass(
        tf.constant(np.tile(mask[None, :, None], (FOLDS, 1, 1))), tf.constant([1, 2]), {"d": tf.constant(0.4)}
    )


def drawn(layer: FoldLayer) -> list[list[np.ndarray]]:
    """Give each fold weights of its own; return them by fold."""
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))
    return [[np.asarray(weight)[fold] for weight in layer.weights] for fold in range(FOLDS)]


@pytest.mark.parametrize(
    ("layer", "counterpart"),
    [
        (lambda: Dense(FOLDS, UNITS, 4), lambda: keras.layers.Dense(4)),
        (lambda: BatchNormalization(FOLDS, UNITS), lambda: keras.layers.BatchNormalization()),
        (lambda: LayerNormalization(FOLDS, UNITS), lambda: keras.layers.LayerNormalization()),
        (lambda: Activation("gelu"), lambda: keras.layers.Activation("gelu")),
        (lambda: Dropout("d", 1), lambda: keras.layers.Dropout(0.4)),
    ],
)
def test_each_fold_is_judged_as_its_keras_counterpart_judges(layer, counterpart) -> None:
    x, ours = inputs(), layer()
    by_fold = drawn(ours)
    judged = ours(x, Pass())
    for fold in range(FOLDS):
        plain = counterpart()
        plain.build((None, UNITS))
        plain.set_weights(by_fold[fold])
        assert judged[fold].numpy() == pytest.approx(plain(x[fold], training=False).numpy(), abs=1e-5)


def test_batch_normalisation_trains_as_keras_does_on_the_rows_that_count() -> None:
    x, ours = inputs(), BatchNormalization(FOLDS, UNITS)
    by_fold = drawn(ours)
    normalised = ours(x, training(counted=7))
    for fold in range(FOLDS):
        plain = keras.layers.BatchNormalization()
        plain.build((None, UNITS))
        plain.set_weights(by_fold[fold])
        expected = plain(x[fold, :7], training=True).numpy()
        assert normalised[fold, :7].numpy() == pytest.approx(expected, abs=1e-4)
        for here, there in zip(ours.weights, plain.get_weights(), strict=True):
            assert np.asarray(here)[fold] == pytest.approx(there, abs=1e-4)


def test_dropout_keeps_the_mean_and_follows_the_seed() -> None:
    x = tf.ones((2, 2000, 4))
    given = Pass(tf.ones((2, 2000, 1)), tf.constant([1, 2]), {"d": tf.constant(0.4)})
    first, again, other = Dropout("d", 1)(x, given), Dropout("d", 1)(x, given), Dropout("d", 2)(x, given)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert float(tf.reduce_mean(first)) == pytest.approx(1.0, abs=0.05)
    assert float(tf.reduce_mean(tf.cast(first == 0.0, tf.float32))) == pytest.approx(0.4, abs=0.02)
    # What is drawn is the folds' in common, so that none depends on how many others there are.
    assert np.array_equal(first[0], first[1])


def test_kernels_are_drawn_by_glorots_rule() -> None:
    kernel, bias = Dense(2, 300, 100).initial(np.random.default_rng(0))
    bound = np.sqrt(6 / 400)
    assert np.abs(kernel).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not bias.any()
