from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from data.errors import SettingsError
from spaces.training.transfer.backbones import (
    BACKBONES,
    Parts,
    avoid_custom_gradients,
    bare,
    build,
    check_size,
    pooled,
    pooled_array,
)
from spaces.training.transfer.weights import NONE, load

SIZE = 96


def images(n: int = 2, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(n, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=BACKBONES)
def parts(request: pytest.FixtureRequest) -> tuple[str, Parts]:
    name: str = request.param
    return name, build(name, SIZE, load(name, NONE), unfrozen=1)


def test_images_are_scaled_as_keras_scales_them(parts: tuple[str, Parts]) -> None:
    name, built = parts
    module = {"efficientnetv2b0": "efficientnet_v2", "mobilenetv3small": "mobilenet_v3"}.get(name, name)
    network = bare(name, SIZE)
    network.set_weights(load(name, NONE))
    scaled = getattr(keras.applications, module).preprocess_input(images().astype(np.float32))
    expected = np.asarray(network(scaled))
    actual = np.asarray(built.whole(images()))
    assert np.abs(actual - expected).max() < 1e-4 * np.abs(expected).max()
    assert expected.std() > 0


def test_prefix_and_suffix_together_equal_the_whole(parts: tuple[str, Parts]) -> None:
    _, built = parts
    assert built.suffix is not None
    middle = built.prefix(images())
    np.testing.assert_allclose(built.suffix(middle), built.whole(images()), rtol=1e-5, atol=1e-5)
    assert 0 < built.suffix.count_params() < built.whole.count_params()


@pytest.mark.parametrize("name", BACKBONES)
def test_last_blocks_can_be_removed(name: str) -> None:
    weights = load(name, NONE)
    whole = build(name, SIZE, weights).whole
    for dropped in (1, 2):
        built = build(name, SIZE, weights, unfrozen=2, dropped=dropped)
        expected = whole.get_layer(BACKBONES[name].blocks[dropped - 1]).input
        assert built.whole.output.shape == expected.shape
        assert built.suffix is not None
        actual = built.suffix(built.prefix(images()))
        np.testing.assert_allclose(actual, built.whole(images()), rtol=1e-5, atol=1e-5)
        assert built.whole.count_params() < whole.count_params()


def test_the_suffix_shares_its_weights_with_the_whole() -> None:
    built = build("vgg16", 32, load("vgg16", NONE), unfrozen=2)
    assert built.suffix is not None
    original = np.asarray(built.whole(images(size=32)))
    for variable in built.suffix.weights:
        variable.assign(variable * 0.5)
    assert np.abs(np.asarray(built.whole(images(size=32))) - original).max() > 0


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_arrays_are_pooled_as_layers_pool_them(pooling: str) -> None:
    maps = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype(np.float32)
    inputs = keras.Input((4, 5, 6))
    layer = keras.Model(inputs, pooled(pooling, inputs))
    np.testing.assert_allclose(pooled_array(pooling, maps), layer(maps), rtol=1e-5, atol=1e-6)


def test_leaves_out_backbones_that_need_larger_images() -> None:
    assert check_size(("vgg16", "xception"), 64) == ("vgg16",)
    with pytest.raises(SettingsError, match=r"64 x 64 pixels, but xception needs at least 71"):
        check_size(("xception",), 64)


def test_silu_without_a_custom_gradient_equals_that_of_keras() -> None:
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Activation("silu")(inputs))
    x = tf.constant([[-30.0, -1.0, 0.0, 2.0, 30.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        expected = model(x)
        avoid_custom_gradients(model)
        changed = model(x)
    assert model.layers[-1].activation is not keras.activations.silu
    np.testing.assert_allclose(changed, expected, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(changed, x), tape.gradient(expected, x), rtol=1e-5, atol=1e-7)
