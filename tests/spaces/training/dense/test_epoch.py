from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.batching import Batches, deal_batches
from spaces.training.dense.epoch import CompiledEpoch, Knobs, State, compiled_epoch
from spaces.training.dense.network import ACTIVATIONS, NORMALISATIONS, Architecture
from spaces.training.dense.weights import MAX_LAYERS
from spaces.training.learning_rates import OPTIMIZERS

PLAIN = Knobs()
FOLDS = 2
SEEDS = (3, 4)
RELU = Architecture(4, 3, (8,))


@pytest.fixture(scope="module")
def compiled() -> CompiledEpoch:
    return compiled_epoch(MAX_LAYERS)


def data() -> tuple[tf.Tensor, tf.Tensor]:
    """Two folds of twelve rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(FOLDS, 12, 4))
    return tf.constant(x, tf.float32), tf.constant(np.tile(np.arange(12) % 3, (FOLDS, 1)), tf.int64)


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
        architecture=architecture,
        optimizer=optimizer,
        knobs=knobs,
        class_weights=class_weights,
    )


def weights(
    compiled: CompiledEpoch, state: State, fold: int = 0, architecture: Architecture = RELU
) -> list[np.ndarray]:
    return compiled.evaluation_weights(architecture, state, fold)


@pytest.mark.parametrize("fold", range(FOLDS))
@pytest.mark.parametrize(
    ("optimizer", "activation", "normalisation", "units"),
    [
        *((optimizer, "relu", "none", (8,)) for optimizer in OPTIMIZERS),
        *(("adam", activation, "none", (8, 5)) for activation in ACTIVATIONS),
        *(("adam", "relu", normalisation, (8, 5)) for normalisation in NORMALISATIONS),
        *((optimizer, "gelu", "batch", (8, 5, 6)) for optimizer in OPTIMIZERS),
        ("adam", "silu", "layer", (8, 5, 6)),
        ("adam", "relu", "none", ()),
    ],
)
def test_full_batch_steps_equal_those_of_keras(
    compiled: CompiledEpoch,
    optimizer: str,
    activation: str,
    normalisation: str,
    units: tuple[int, ...],
    fold: int,
) -> None:
    architecture = Architecture(4, 3, units, activation, normalisation)
    x, y = data()
    batch = deal_batches((12, 12), 12, (5, 6))
    three_steps = Batches(np.repeat(batch.rows, 3, axis=0), np.repeat(batch.counts, 3, axis=0))
    state, loss, _, probabilities = run(
        compiled, rate=0.01, batches=three_steps, architecture=architecture, optimizer=optimizer
    )
    reference = architecture.keras_model()
    reference.set_weights(weights(compiled, compiled.initial_state(architecture, SEEDS), fold, architecture))
    optimizers = {
        "adam": lambda: keras.optimizers.Adam(0.01),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
        "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    }
    reference.compile(optimizers[optimizer](), keras.losses.SparseCategoricalCrossentropy())
    history = reference.fit(x[fold], y[fold], batch_size=12, epochs=3, verbose=0).history
    assert loss[fold] == pytest.approx(np.mean(history["loss"]), abs=1e-4)
    assert probabilities[fold] == pytest.approx(reference(x[fold]).numpy(), abs=1e-3)
    for ours, theirs in zip(
        weights(compiled, state, fold, architecture), reference.get_weights(), strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_all_networks_share_one_trace(compiled: CompiledEpoch) -> None:
    for units, activation, normalisation, optimizer in (
        ((8,), "relu", "none", "adam"),
        ((5, 7), "gelu", "batch", "sgd"),
        ((33, 3, 9), "tanh", "layer", "rmsprop"),
        ((), "relu", "none", "adam"),
    ):
        run(compiled, architecture=Architecture(4, 3, units, activation, normalisation), optimizer=optimizer)
    assert compiled.trace_count == 1


def test_a_network_deeper_than_usual_has_its_own_compiled_epoch(MAX_LAYERS) -> None:
    architecture = Architecture(4, 3, (8, 7, 6, 5), "tanh", "layer")
    compiled = compiled_epoch(4)
    state, loss, _, _ = run(compiled, architecture=architecture)
    assert np.isfinite(loss).all()
    assert [weight.shape for weight in weights(compiled, state, architecture=architecture)] == [
        weight.shape for weight in architecture.initial_weights(0)
    ]


def test_all_row_numbers_of_an_epoch_are_one_argument_in_device_memory(compiled: CompiledEpoch) -> None:
    arguments = compiled._run.get_concrete_function().structured_input_signature[0]
    by_name = {spec.name: spec for spec in arguments if isinstance(spec, tf.TensorSpec)}
    # TensorFlow keeps int32 in host memory, also that of a process with a GPU.
    assert by_name["rows"].dtype == by_name["y"].dtype == tf.int64
    assert by_name["rows"].shape.rank == 3


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_padding_rows_do_not_count(compiled: CompiledEpoch, normalisation: str) -> None:
    architecture = Architecture(4, 3, (8, 5), "gelu", normalisation)
    whole = deal_batches((12, 12), 12, (5, 6))
    padded_batches = Batches(
        np.concatenate([whole.rows, whole.rows[:, :, :3]], axis=2),
        np.concatenate([whole.counts, np.zeros((1, FOLDS, 3), np.float32)], axis=2),
    )
    plain, padded = (
        run(compiled, batches=batches, architecture=architecture) for batches in (whole, padded_batches)
    )
    assert plain[1] == pytest.approx(padded[1], abs=1e-6)
    expected, actual = (weights(compiled, each[0], architecture=architecture) for each in (plain, padded))
    for padded_weight, plain_weight in zip(actual, expected, strict=True):
        np.testing.assert_allclose(padded_weight, plain_weight, atol=1e-5)


def test_dropout_changes_the_training_loss(compiled: CompiledEpoch) -> None:
    plain = run(compiled, rate=0.0)[1]
    with_dropout = run(compiled, Knobs(dropout=0.9), rate=0.0)[1]
    assert with_dropout != pytest.approx(plain, abs=1e-4)


def test_label_smoothing_changes_the_loss_as_its_formula_says(compiled: CompiledEpoch) -> None:
    _, y = data()
    probabilities = run(compiled, rate=0.0)[3]
    target = np.eye(3)[y.numpy()] * 0.8 + 0.2 / 3
    expected = -(target * np.log(probabilities)).sum(axis=2).mean(axis=1)
    assert run(compiled, Knobs(label_smoothing=0.2), rate=0.0)[1] == pytest.approx(expected, abs=1e-5)


def test_mixup_changes_the_training_loss(compiled: CompiledEpoch) -> None:
    mixed_loss = run(compiled, Knobs(mixup=1.0), rate=0.0)[1]
    assert mixed_loss != pytest.approx(run(compiled, rate=0.0)[1], abs=1e-4)


def test_weight_decay_shrinks_kernels_only(compiled: CompiledEpoch) -> None:
    plain = weights(compiled, run(compiled)[0])
    decayed = weights(compiled, run(compiled, Knobs(weight_decay=0.5))[0])
    fresh = weights(compiled, compiled.initial_state(RELU, SEEDS))
    for initial, without_decay, with_decay in zip(fresh, plain, decayed, strict=True):
        shrinkage = 0.1 * 0.5 * initial if initial.ndim == 2 else np.zeros_like(initial)
        assert without_decay - with_decay == pytest.approx(shrinkage, abs=1e-6)


def test_the_average_keeps_its_fraction_of_the_previous_weights(compiled: CompiledEpoch) -> None:
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
