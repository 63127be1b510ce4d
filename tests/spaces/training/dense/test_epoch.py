from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.batching import Batches, deal_batches
from spaces.training.dense.epoch import CompiledEpoch, Knobs
from spaces.training.dense.layers import Activation, Dense, Dropout, FoldLayer
from spaces.training.learning_rates import OPTIMIZERS

PLAIN = Knobs(label_smoothing=0.0, mixup=0.0, weight_decay=0.0, dropout={"d": 0.0})
FOLDS = 2
SEEDS = (3, 4)


def network() -> list[FoldLayer]:
    return [Dense(FOLDS, 4, 8), Activation("relu"), Dropout("d", 1), Dense(FOLDS, 8, 3)]


@pytest.fixture(scope="module")
def compiled() -> CompiledEpoch:
    return CompiledEpoch(network(), "sgd", 3)


def data() -> tuple[tf.Tensor, tf.Tensor]:
    """Two folds of twelve rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(FOLDS, 12, 4))
    return tf.constant(x, tf.float32), tf.constant(np.tile(np.arange(12) % 3, (FOLDS, 1)), tf.int32)


def run(
    compiled: CompiledEpoch,
    knobs: Knobs = PLAIN,
    *,
    batch_size: int = 12,
    rate: float = 0.1,
    keep: float = 0.0,
    batches: Batches | None = None,
):
    x, y = data()
    batches = batches or deal_batches((12, 12), batch_size, (5, 6))
    rates = np.full(len(batches.rows), rate, np.float32)
    state = compiled.initial_state(SEEDS)
    return compiled.run(state, x, y, x, batches=batches, rates=rates, seed=(1, 2), keep=keep, knobs=knobs)


def weights(compiled: CompiledEpoch, state, fold: int = 0) -> list[np.ndarray]:
    return compiled.judged_weights(state, fold)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_full_batch_step_is_keras_own(optimizer: str, fold: int) -> None:
    compiled = CompiledEpoch(network(), optimizer, 3)
    x, y = data()
    state, loss, _, probabilities = run(compiled, rate=0.05)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    plain = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    plain.set_weights(weights(compiled, compiled.initial_state(SEEDS), fold))
    made = {
        "adam": lambda: keras.optimizers.Adam(0.05),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.05),
        "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    }
    plain.compile(made[optimizer](), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = plain.fit(x[fold], y[fold], batch_size=12, epochs=1, verbose=0).history["loss"][0]
    assert loss[fold] == pytest.approx(expected, abs=1e-5)
    assert probabilities[fold] == pytest.approx(tf.nn.softmax(plain(x[fold])).numpy(), abs=1e-4)
    for ours, theirs in zip(weights(compiled, state, fold), plain.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_rows_that_fill_up_do_not_count(compiled: CompiledEpoch) -> None:
    whole = deal_batches((12, 12), 12, (5, 6))
    filled = Batches(
        np.concatenate([whole.rows, whole.rows[:, :, :3]], axis=2),
        np.concatenate([whole.counts, np.zeros((1, FOLDS, 3), np.float32)], axis=2),
    )
    plain, padded = run(compiled, batches=whole), run(compiled, batches=filled)
    assert plain[1] == pytest.approx(padded[1], abs=1e-6)
    for one, other in zip(weights(compiled, plain[0]), weights(compiled, padded[0]), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_dropout_rate_is_obeyed(compiled: CompiledEpoch) -> None:
    whole = run(compiled, rate=0.0)[1]
    dropped = run(compiled, Knobs(0.0, 0.0, 0.0, {"d": 0.9}), rate=0.0)[1]
    assert dropped != pytest.approx(whole, abs=1e-4)


def test_label_smoothing_raises_the_loss_as_computed(compiled: CompiledEpoch) -> None:
    _, y = data()
    probabilities = run(compiled, rate=0.0)[3]
    target = np.eye(3)[y.numpy()] * 0.8 + 0.2 / 3
    expected = -(target * np.log(probabilities)).sum(axis=2).mean(axis=1)
    assert run(compiled, Knobs(0.2, 0.0, 0.0, {"d": 0.0}), rate=0.0)[1] == pytest.approx(expected, abs=1e-5)


def test_mixup_mixes(compiled: CompiledEpoch) -> None:
    mixed = run(compiled, Knobs(0.0, 1.0, 0.0, {"d": 0.0}), rate=0.0)[1]
    assert mixed != pytest.approx(run(compiled, rate=0.0)[1], abs=1e-4)


def test_weight_decay_shrinks_kernels_only(compiled: CompiledEpoch) -> None:
    plain = weights(compiled, run(compiled)[0])
    decayed = weights(compiled, run(compiled, Knobs(0.0, 0.0, 0.5, {"d": 0.0}))[0])
    fresh = weights(compiled, compiled.initial_state(SEEDS))
    for before, without, with_decay in zip(fresh, plain, decayed, strict=True):
        shrunk = 0.1 * 0.5 * before if before.ndim == 2 else 0.0
        assert without - with_decay == pytest.approx(shrunk + np.zeros_like(before), abs=1e-6)


def test_average_keeps_its_share(compiled: CompiledEpoch) -> None:
    trained = weights(compiled, run(compiled, keep=0.0)[0])
    averaged = weights(compiled, run(compiled, keep=0.75)[0])
    fresh = weights(compiled, compiled.initial_state(SEEDS))
    for before, after, average in zip(fresh, trained, averaged, strict=True):
        assert average == pytest.approx(0.75 * before + 0.25 * after, abs=1e-6)
