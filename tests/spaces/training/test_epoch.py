from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.epoch import CompiledEpoch, Knobs, epoch_seed, fold_seed
from spaces.training.schedule import OPTIMIZERS

PLAIN = Knobs(label_smoothing=0.0, mixup=0.0, weight_decay=0.0, dropout={"d": 0.0})


def network(dropout: Callable[[str], keras.layers.Layer]) -> keras.Model:
    inputs = keras.Input((4,))
    x = dropout("d")(keras.layers.Dense(8, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


@pytest.fixture(scope="module")
def compiled() -> CompiledEpoch:
    return CompiledEpoch(network, "sgd", ("d",))


def data() -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(size=(12, 4)), tf.float32), tf.constant(np.arange(12) % 3, tf.int32)


def run(
    compiled: CompiledEpoch, knobs: Knobs = PLAIN, *, steps: int = 1, rate: float = 0.1, keep: float = 0.0
):
    x, y = data()
    rates = np.full(steps, rate, np.float32)
    state = compiled.initial_state(3)
    return compiled.run(state, x, y, x, rates=rates, seed=(1, 2), keep=keep, knobs=knobs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_full_batch_step_is_keras_own(optimizer: str) -> None:
    compiled = CompiledEpoch(network, optimizer, ("d",))
    x, y = data()
    state, loss, _, probabilities = run(compiled, rate=0.05)
    plain = network(lambda _: keras.layers.Dropout(0.0))
    plain.set_weights([value.numpy() for value in compiled.initial_state(3)[: len(plain.weights)]])
    made = {
        "adam": lambda: keras.optimizers.Adam(0.05),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.05),
        "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    }
    plain.compile(made[optimizer](), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = plain.fit(x, y, batch_size=12, epochs=1, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, abs=1e-5)
    assert probabilities == pytest.approx(tf.nn.softmax(plain(x)).numpy(), abs=1e-4)
    for ours, theirs in zip(compiled.judged_weights(state), plain.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_every_row_is_used_once_an_epoch(compiled: CompiledEpoch) -> None:
    # At a rate of 0 the mean loss over equal batches is the loss over all rows, however they are dealt.
    losses = [run(compiled, steps=steps, rate=0.0)[1] for steps in (1, 2, 3, 4, 6, 12)]
    assert losses == pytest.approx([losses[0]] * 6, abs=1e-5)


def test_dropout_rate_is_obeyed(compiled: CompiledEpoch) -> None:
    whole = run(compiled, rate=0.0)[1]
    dropped = run(compiled, Knobs(0.0, 0.0, 0.0, {"d": 0.9}), rate=0.0)[1]
    assert dropped != pytest.approx(whole, abs=1e-4)


def test_label_smoothing_raises_the_loss_as_computed(compiled: CompiledEpoch) -> None:
    _, y = data()
    probabilities = run(compiled, rate=0.0)[3]
    target = np.eye(3)[y.numpy()] * 0.8 + 0.2 / 3
    expected = -(target * np.log(probabilities)).sum(axis=1).mean()
    assert run(compiled, Knobs(0.2, 0.0, 0.0, {"d": 0.0}), rate=0.0)[1] == pytest.approx(expected, abs=1e-5)


def test_mixup_mixes(compiled: CompiledEpoch) -> None:
    assert run(compiled, Knobs(0.0, 1.0, 0.0, {"d": 0.0}), rate=0.0)[1] != pytest.approx(
        run(compiled, rate=0.0)[1], abs=1e-4
    )


def test_weight_decay_shrinks_kernels_only(compiled: CompiledEpoch) -> None:
    plain = compiled.judged_weights(run(compiled)[0])
    decayed = compiled.judged_weights(run(compiled, Knobs(0.0, 0.0, 0.5, {"d": 0.0}))[0])
    fresh = [value.numpy() for value in compiled.initial_state(3)[:4]]
    for before, without, with_decay in zip(fresh, plain, decayed, strict=True):
        shrunk = 0.1 * 0.5 * before if before.ndim == 2 else 0.0
        assert without - with_decay == pytest.approx(shrunk + np.zeros_like(before), abs=1e-6)


def test_average_keeps_its_share(compiled: CompiledEpoch) -> None:
    trained = compiled.judged_weights(run(compiled, keep=0.0)[0])
    averaged = compiled.judged_weights(run(compiled, keep=0.75)[0])
    fresh = [value.numpy() for value in compiled.initial_state(3)[:4]]
    for before, after, average in zip(fresh, trained, averaged, strict=True):
        assert average == pytest.approx(0.75 * before + 0.25 * after, abs=1e-6)


def test_seeds_are_spread() -> None:
    seeds = {epoch_seed(seed, fold, epoch) for seed in range(3) for fold in range(3) for epoch in range(3)}
    assert len(seeds) == 27
    assert all(0 <= part < 2**31 for seed in seeds for part in seed)
    assert fold_seed(1, 0) != fold_seed(0, 1)
