from __future__ import annotations

import keras
import numpy as np
import pytest

import spaces
from spaces.training.convolution.network import STANDARDISE, build, set_statistics, standardised


def standardiser(shape: tuple[int, ...], axis: int) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, standardised(inputs, axis))


def test_statistics_of_many_large_images_are_exact() -> None:
    X = np.full((200, 300, 300, 3), (100, 101, 102), dtype=np.uint8)
    X[::2] += 2
    model = standardiser(X.shape[1:], 3)
    set_statistics(model, X, scale=1 / 255)
    mean, variance = model.get_layer(STANDARDISE).get_weights()
    np.testing.assert_allclose(mean, np.array([101, 102, 103]) / 255, rtol=1e-6)
    np.testing.assert_allclose(variance, np.full(3, 1 / 255**2), rtol=1e-5)


@pytest.mark.parametrize("axis", [1, 3])
def test_spectrograms_have_statistics_per_band_or_overall(axis: int) -> None:
    X = np.random.default_rng(0).normal(-40, 10, size=(70, 8, 5)).astype(np.float16)
    model = standardiser((8, 5, 1), axis)
    set_statistics(model, X)
    mean, variance = model.get_layer(STANDARDISE).get_weights()
    exact, axes = X.astype(np.float64), (0, 2) if axis == 1 else (0, 1, 2)
    np.testing.assert_allclose(mean, np.atleast_1d(exact.mean(axis=axes)), rtol=1e-6)
    np.testing.assert_allclose(variance, np.atleast_1d(exact.var(axis=axes)), rtol=1e-6)


def test_a_model_without_the_layer_needs_no_statistics() -> None:
    inputs = keras.Input((4, 4, 1))
    set_statistics(keras.Model(inputs, inputs), np.zeros((2, 4, 4), dtype=np.float16))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("none", (6, 9)), ("time", (6, 5)), ("both", (3, 5)), (None, (6, 9))],
)
def test_the_input_can_be_pooled_before_the_first_block(
    pooling: str | None, expected: tuple[int, int]
) -> None:
    baseline = spaces.get("melspec_cnn").BASELINE
    config = {name: value for name, value in baseline.items() if name != "input_pooling"}
    # Configurations of earlier versions do not have this parameter.
    if pooling is not None:
        config["input_pooling"] = pooling
    inputs = keras.Input((6, 9, 1))
    model = build(inputs, inputs, config, n_classes=3)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert first.input.shape[1:3] == expected
