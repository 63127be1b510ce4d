from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.dense.activations import value_and_slope
from spaces.training.dense.network import ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients_equal_those_of_keras(name: str) -> None:
    x = tf.constant(np.concatenate([np.linspace(-9, 9, 181), [-80.0, -1e-6, 1e-6, 80.0]]), tf.float32)
    reference = keras.activations.get(name)
    with tf.GradientTape() as tape:
        tape.watch(x)
        theirs = reference(x)
    value, slope = value_and_slope(x, tf.constant(ACTIVATIONS.index(name)))
    np.testing.assert_allclose(value, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, tape.gradient(theirs, x), rtol=1e-4, atol=1e-5)
