from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.batching import Batches, deal_batches
from spaces.training.dense.epoch import CompiledEpoch, Knobs, State, compiled_epoch
from spaces.training.dense.network import ACTIVATIONS, NORMALISATIONS, Architecture
from spaces.training.learning_rates import OPTIMIZERS

PLAIN = Knobs()
FOLDS = 2
SEEDS = (3, 4)
RELU = Architecture(4, 3, (8,))


@pytest.fixture(scope="module")
def compiled() -> CompiledEpoch:
    return compiled_epoch(1, "none")


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
    architecture: Architecture = RELU,
    optimizer: str = "sgd",
    class_weights: np.ndarray | None = None,
) -> tuple[State, np.ndarray, np.ndarray, np.ndarray]:
    x, y = data()
    batches = batches or deal_batches((12, 12), batch_size, (5, 6))
    rates = np.full(len(batches.rows), rate, np.float32)
    return compiled.run(
        compiled.initial_state(architecture, SEEDS),
        x,
        y,
        x,
        batches=batches,
        rates=rates,
        seed=(1, 2),
        keep=keep,
        activation=architecture.activation,
        optimizer=optimizer,
        knobs=knobs,
        class_weights=class_weights,
    )


def weights(compiled: CompiledEpoch, state, fold: int = 0) -> list[np.ndarray]:
    return compiled.judged_weights(state, fold)


@pytest.mark.parametrize("fold", range(FOLDS))
@pytest.mark.parametrize(
    ("optimizer", "activation", "normalisation", "units"),
    [
        *((optimizer, "relu", "none", (8,)) for optimizer in OPTIMIZERS),
        *(("adam", activation, "none", (8, 5)) for activation in ACTIVATIONS),
        *(("adam", "relu", normalisation, (8, 5)) for normalisation in NORMALISATIONS),
        ("adam", "relu", "none", ()),
    ],
)
def test_full_batch_steps_equal_those_of_keras(
    optimizer: str, activation: str, normalisation: str, units: tuple[int, ...], fold: int
) -> None:
    architecture = Architecture(4, 3, units, activation, normalisation)
    compiled = compiled_epoch(len(units), normalisation)
    x, y = data()
    three = Batches(
        *(np.repeat(each, 3, axis=0) for each in vars(deal_batches((12, 12), 12, (5, 6))).values())
    )
    state, loss, _, probabilities = run(
        compiled, rate=0.01, batches=three, architecture=architecture, optimizer=optimizer
    )
    plain = architecture.keras_model()
    plain.set_weights(weights(compiled, compiled.initial_state(architecture, SEEDS), fold))
    made = {
        "adam": lambda: keras.optimizers.Adam(0.01),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
        "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    }
    plain.compile(made[optimizer](), keras.losses.SparseCategoricalCrossentropy())
    history = plain.fit(x[fold], y[fold], batch_size=12, epochs=3, verbose=0).history
    assert loss[fold] == pytest.approx(np.mean(history["loss"]), abs=1e-4)
    assert probabilities[fold] == pytest.approx(plain(x[fold]).numpy(), abs=1e-3)
    for ours, theirs in zip(weights(compiled, state, fold), plain.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_widths_activations_and_optimizers_share_one_trace(compiled: CompiledEpoch) -> None:
    for units, activation, optimizer in ((8, "relu", "adam"), (5, "gelu", "sgd"), (33, "tanh", "rmsprop")):
        run(compiled, architecture=Architecture(4, 3, (units,), activation), optimizer=optimizer)
    assert compiled.trace_count == 1


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
    dropped = run(compiled, Knobs(dropout=0.9), rate=0.0)[1]
    assert dropped != pytest.approx(whole, abs=1e-4)


def test_label_smoothing_raises_the_loss_as_computed(compiled: CompiledEpoch) -> None:
    _, y = data()
    probabilities = run(compiled, rate=0.0)[3]
    target = np.eye(3)[y.numpy()] * 0.8 + 0.2 / 3
    expected = -(target * np.log(probabilities)).sum(axis=2).mean(axis=1)
    assert run(compiled, Knobs(label_smoothing=0.2), rate=0.0)[1] == pytest.approx(expected, abs=1e-5)


def test_mixup_mixes(compiled: CompiledEpoch) -> None:
    mixed = run(compiled, Knobs(mixup=1.0), rate=0.0)[1]
    assert mixed != pytest.approx(run(compiled, rate=0.0)[1], abs=1e-4)


def test_weight_decay_shrinks_kernels_only(compiled: CompiledEpoch) -> None:
    plain = weights(compiled, run(compiled)[0])
    decayed = weights(compiled, run(compiled, Knobs(weight_decay=0.5))[0])
    fresh = weights(compiled, compiled.initial_state(RELU, SEEDS))
    for before, without, with_decay in zip(fresh, plain, decayed, strict=True):
        shrunk = 0.1 * 0.5 * before if before.ndim == 2 else 0.0
        assert without - with_decay == pytest.approx(shrunk + np.zeros_like(before), abs=1e-6)


def test_average_keeps_its_share(compiled: CompiledEpoch) -> None:
    trained = weights(compiled, run(compiled, keep=0.0)[0])
    averaged = weights(compiled, run(compiled, keep=0.75)[0])
    fresh = weights(compiled, compiled.initial_state(RELU, SEEDS))
    for before, after, average in zip(fresh, trained, averaged, strict=True):
        assert average == pytest.approx(0.75 * before + 0.25 * after, abs=1e-6)


def test_weighted_genres_change_loss_and_gradient_in_proportion(compiled: CompiledEpoch) -> None:
    rate = 1e-3
    by_genre = np.repeat(np.eye(3, dtype=np.float32)[:, None], FOLDS, axis=1)
    initial = weights(compiled, compiled.initial_state(RELU, SEEDS))
    (plain, loss, _, _), *parts = (run(compiled, rate=rate, class_weights=each) for each in (None, *by_genre))
    # One step on all rows: the loss and the gradient are sums over the genres.
    np.testing.assert_allclose(sum(part[1] for part in parts), loss, rtol=1e-5)
    for position, before in enumerate(initial):
        steps = [weights(compiled, part[0])[position] - before for part in parts]
        np.testing.assert_allclose(sum(steps), weights(compiled, plain)[position] - before, atol=1e-6)
    assert not np.allclose(weights(compiled, parts[0][0])[-1], weights(compiled, parts[1][0])[-1])
