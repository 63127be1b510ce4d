from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.dense import layers
from spaces.training.dense.layers import HiddenLayer, Kind, Noise
from spaces.training.dense.network import ACTIVATIONS, NORMALISATIONS

FOLDS, ROWS, INPUTS, UNITS = 3, 10, 4, 5
COUNTED = 7
"""Rows that are not padding."""
RNG = np.random.default_rng(0)
X = tf.constant(RNG.normal(2, 3, size=(FOLDS, ROWS, INPUTS)), tf.float32)
MASK = tf.constant(np.tile((np.arange(ROWS) < COUNTED).astype(np.float32)[:, None], (FOLDS, 1, 1)))
UPSTREAM = MASK * tf.constant(RNG.normal(size=(FOLDS, ROWS, UNITS)), tf.float32)
NO_NOISE = Noise(tf.constant(0.0), tf.constant([1, 2]), tf.constant(1))


def weights(*shape: int) -> tf.Tensor:
    return tf.constant(RNG.uniform(0.5, 1.5, size=(FOLDS, *shape)), tf.float32)


WEIGHTS = HiddenLayer(weights(INPUTS, UNITS), weights(3, UNITS), weights(2, UNITS))


def assert_close(actual: tf.Tensor, expected: tf.Tensor) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def kind(activation: str, normalisation: str) -> Kind:
    numbers = ACTIVATIONS.index(activation), NORMALISATIONS.index(normalisation)
    return Kind(*map(tf.constant, numbers))


def keras_layer(fold: int, activation: str, normalisation: str) -> tuple[keras.Model, int]:
    """Build the layer of a fold from Keras layers; return it and its number of weights with gradients."""
    normalisations = {
        "none": [],
        "batch": [keras.layers.BatchNormalization()],
        "layer": [keras.layers.LayerNormalization()],
    }
    model = keras.Sequential(
        [
            keras.Input((INPUTS,)),
            keras.layers.Dense(UNITS),
            *normalisations[normalisation],
            keras.layers.Activation(activation),
        ]
    )
    bias, gamma, beta = WEIGHTS.vectors[fold].numpy()
    norm = {"none": [], "batch": [gamma, beta, *WEIGHTS.moments[fold].numpy()], "layer": [gamma, beta]}
    model.set_weights([WEIGHTS.kernel[fold].numpy(), bias, *norm[normalisation]])
    return model, len(model.trainable_weights)


@pytest.mark.parametrize("fold", range(FOLDS))
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_hidden_layer_equals_keras_layers(activation: str, normalisation: str, fold: int) -> None:
    numbers = kind(activation, normalisation)
    y, moments, trace = layers.hidden(X, WEIGHTS, numbers, MASK, NO_NOISE)
    d_x, d_kernel, d_vectors = layers.hidden_gradients(UPSTREAM, trace, WEIGHTS, numbers, MASK)

    reference, n_trained = keras_layer(fold, activation, normalisation)
    x = X[fold, :COUNTED]
    # Inference does not change the moving moments, so it comes first.
    expected_evaluation = reference(X[fold]).numpy()
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected = reference(x, training=True)
        loss = tf.reduce_sum(expected * UPSTREAM[fold, :COUNTED])
    expected_x, *expected_gradients = tape.gradient(loss, [x, *reference.trainable_variables])

    assert_close(y[fold, :COUNTED], expected)
    assert_close(layers.hidden_for_evaluation(X, WEIGHTS, numbers)[fold], expected_evaluation)
    assert_close(d_x[fold, :COUNTED], expected_x)
    assert not d_x[fold, COUNTED:].numpy().any()
    assert len(expected_gradients) == n_trained
    gradients = [d_kernel[fold], *tf.unstack(d_vectors[fold])]
    for ours, theirs in zip(gradients, expected_gradients, strict=False):
        assert_close(ours, theirs)
    for untrained in gradients[n_trained:]:
        assert not untrained.numpy().any()
    expected_moments = (
        reference.layers[1].get_weights()[2:] if normalisation == "batch" else WEIGHTS.moments[fold]
    )
    assert_close(moments[fold], expected_moments)


def test_each_fold_has_its_own_dense_layer() -> None:
    kernel, bias = weights(INPUTS, UNITS), weights(1, UNITS)
    y = layers.dense(X, kernel, bias)
    for fold in range(FOLDS):
        reference = keras.layers.Dense(UNITS)
        reference.build((None, INPUTS))
        reference.set_weights([kernel[fold].numpy(), bias[fold, 0].numpy()])
        assert y[fold].numpy() == pytest.approx(reference(X[fold]).numpy(), abs=1e-5)


def test_dropout_keeps_the_mean_and_depends_on_seed_and_layer() -> None:
    x, rate, seed = tf.ones((2, 2000, 4)), tf.constant(0.4), tf.constant([1, 2])
    first, again, other = (layers.dropout((x,), Noise(rate, seed, number))[0] for number in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert float(tf.reduce_mean(first)) == pytest.approx(1.0, abs=0.05)
    assert float(tf.reduce_mean(tf.cast(first == 0.0, tf.float32))) == pytest.approx(0.4, abs=0.02)
    # The folds share the draw, so that a fold does not depend on the number of folds.
    assert np.array_equal(first[0], first[1])


def test_values_and_slopes_are_dropped_together() -> None:
    noise = Noise(tf.constant(0.5), tf.constant([1, 2]), tf.constant(1))
    first, second = layers.dropout((X, 2.0 * X), noise)
    np.testing.assert_array_equal(second, 2.0 * first)


def test_a_dropout_rate_of_zero_changes_nothing() -> None:
    assert np.array_equal(layers.dropout((X,), NO_NOISE)[0], X)
