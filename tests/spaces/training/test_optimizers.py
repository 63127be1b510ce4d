from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.learning_rates import OPTIMIZERS
from spaces.training.optimizers import slot_count, update

KERAS = {
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate),
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_updates_equal_those_of_keras(optimizer: str) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)).astype(np.float32)
    ours = tf.Variable(start)
    slots = [tf.Variable(tf.zeros_like(start)) for _ in range(slot_count(optimizer))]
    theirs = keras.Variable(start)
    reference = KERAS[optimizer](0.01)
    reference.build([theirs])
    for step in range(1, 11):
        gradient = tf.constant(rng.normal(size=(4, 3)) * 10.0 ** rng.integers(-4, 2), tf.float32)
        update(optimizer, ours, gradient, slots, tf.constant(0.01), tf.constant(float(step)))
        reference.apply([gradient], [theirs])
        np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=1e-5, atol=1e-6)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="'lion' is not one of adam, rmsprop, sgd"):
        slot_count("lion")
    with pytest.raises(ValueError, match="'lion'"):
        update("lion", tf.Variable(0.0), tf.constant(0.0), (), tf.constant(0.0), tf.constant(1.0))
