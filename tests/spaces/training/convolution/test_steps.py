from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from spaces.training.convolution import loss_scale
from spaces.training.convolution.steps import TrainingSteps, as_batch
from spaces.training.device import dtype_policy

N_INPUTS, N_CLASSES, RATE, L2 = 5, 3, 0.1, 0.02
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, N_INPUTS)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def linear() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((N_INPUTS,))
    penalty = keras.regularizers.L2(L2)
    return keras.Model(inputs, keras.layers.Dense(N_CLASSES, kernel_regularizer=penalty)(inputs))


def step(
    core: keras.Model,
    *,
    counts: np.ndarray | None = None,
    class_weights: np.ndarray | None = None,
    **options: Any,
) -> tuple[float, float]:
    """Take one step of plain gradient descent on all rows: the optimizer's first has no momentum yet."""
    given: dict[str, Any] = {"weight_decay": 0.0, "label_smoothing": 0.0, "augment": None, **options}
    steps = TrainingSteps(core, "sgd", **given)
    counted = np.ones(len(X)) if counts is None else counts
    loss, right = steps.run(
        tf.constant(X),
        tf.range(len(X), dtype=tf.int64)[None],
        tf.constant(Y[None], tf.int64),
        tf.constant(counted[None], tf.float32),
        tf.constant([RATE]),
        tf.constant((1, 2), tf.int32),
        tf.constant(0, tf.int32),
        None if class_weights is None else tf.constant(class_weights, tf.float32),
    )
    return float(loss), float(right)


def test_a_step_weights_the_loss_of_each_genre() -> None:
    core = linear()
    kernel, bias = core.get_weights()
    by_genre = np.array([0.5, 1.0, 2.0])
    loss, _ = step(core, class_weights=by_genre)

    logits = X @ kernel + bias
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    row_weights = by_genre[Y] / len(X)
    assert loss == pytest.approx(-np.log(likely[np.arange(len(X)), Y]) @ row_weights, rel=1e-5)
    error = (likely - np.eye(N_CLASSES)[Y]) * row_weights[:, None]
    expected = kernel - RATE * 1.9 * (X.T @ error + 2 * L2 * kernel)
    np.testing.assert_allclose(core.get_weights()[0], expected, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("counted", [8, 5])
def test_a_step_is_what_the_formulas_say(smoothing: float, decay: float, counted: int) -> None:
    core = linear()
    kernel, bias = core.get_weights()
    counts = (np.arange(len(X)) < counted).astype(np.float64)
    loss, right = step(core, counts=counts, weight_decay=decay, label_smoothing=smoothing)

    logits = X @ kernel + bias
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.eye(N_CLASSES)[Y] * (1 - smoothing) + smoothing / N_CLASSES
    assert loss == pytest.approx(-(target * np.log(likely)).sum(axis=1) @ counts / counted, rel=1e-5)
    assert right == ((logits.argmax(axis=1) == Y) * counts).sum()
    error = (likely - target) * counts[:, None] / counted
    # Nesterov's momentum of 0.9 makes the first step 1.9 times as long; decay does not pass through it.
    expected = kernel * (1 - RATE * decay) - RATE * 1.9 * (X.T @ error + 2 * L2 * kernel)
    after_kernel, after_bias = core.get_weights()
    np.testing.assert_allclose(after_kernel, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after_bias, bias - RATE * 1.9 * error.sum(axis=0), rtol=1e-4, atol=1e-6)


def test_a_step_trains_on_what_augmentation_gives() -> None:
    def silent(x: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.zeros_like(x), tf.reverse(target, [1])

    core = linear()
    kernel, bias = core.get_weights()
    step(core, augment=silent)
    after_kernel, after_bias = core.get_weights()
    # Rows of nothing teach the kernel nothing: only its penalty moves it.
    np.testing.assert_allclose(after_kernel, kernel * (1 - RATE * 1.9 * 2 * L2), rtol=1e-4)
    target = np.eye(N_CLASSES)[Y][:, ::-1]
    error = (1 / N_CLASSES - target).mean(axis=0)
    np.testing.assert_allclose(after_bias - bias, -RATE * 1.9 * error, rtol=1e-4, atol=1e-6)


def test_rows_get_a_channel_unless_they_are_vectors() -> None:
    for shape, expected in (((2, 3), (2, 3)), ((2, 3, 4), (2, 3, 4, 1)), ((2, 3, 4, 3), (2, 3, 4, 3))):
        batch = as_batch(tf.zeros(shape, tf.uint8))
        assert (tuple(batch.shape), batch.dtype) == (expected, tf.float32)


def half_precision_steps(monkeypatch: pytest.MonkeyPatch, *, start: float, **options: Any) -> tuple[Any, Any]:
    """Steps that scale the loss of a network in float32, so that a test can choose the overflow."""
    monkeypatch.setattr(loss_scale, "_START", start)
    core = linear()
    with dtype_policy("mixed_float16"):
        steps = TrainingSteps(
            core, "sgd", **{"weight_decay": 0.0, "label_smoothing": 0.0, "augment": None, **options}
        )
    return core, steps


def take(steps: TrainingSteps, n_steps: int, x: np.ndarray = X) -> float:
    loss, _ = steps.run(
        tf.constant(x),
        tf.constant(np.tile(np.arange(len(x)), (n_steps, 1))),
        tf.constant(np.tile(Y, (n_steps, 1)), tf.int64),
        tf.ones((n_steps, len(x))),
        tf.fill([n_steps], RATE),
        tf.constant((1, 2), tf.int32),
        tf.constant(0, tf.int32),
    )
    return float(loss)


def test_an_overflow_costs_a_repetition_and_neither_an_update_nor_decay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = linear()
    reference = TrainingSteps(plain, "sgd", weight_decay=0.5, label_smoothing=0.0, augment=None)
    # Large inputs have large gradients.
    expected = take(reference, 3, 20 * X)
    # The scaled loss overflows float32 until the scale has been halved many times.
    core, steps = half_precision_steps(monkeypatch, start=3e38, weight_decay=0.5)
    core_kernel = core.get_weights()[0]
    assert take(steps, 3, 20 * X) == pytest.approx(expected, rel=1e-4)
    assert not np.array_equal(core.get_weights()[0], core_kernel)
    for ours, theirs in zip(core.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    assert float(steps._scale.value) < 3e38
    assert float(steps._steps) == 3


def test_the_loss_scale_has_a_floor_at_which_a_batch_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    core, steps = half_precision_steps(monkeypatch, start=4.0, weight_decay=0.5)
    before = core.get_weights()
    assert not np.isfinite(take(steps, 2, np.full_like(X, np.nan)))
    assert float(steps._scale.value) == 1.0
    for ours, unchanged in zip(core.get_weights(), before, strict=True):
        assert np.array_equal(ours, unchanged)


def test_the_loss_scale_grows_after_many_finite_steps_up_to_its_ceiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_scale, "_GROWTH_STEPS", 2)
    monkeypatch.setattr(loss_scale, "_CEILING", 16.0)
    _, steps = half_precision_steps(monkeypatch, start=4.0)
    take(steps, 3)
    assert float(steps._scale.value) == 8.0
    take(steps, 9)
    assert float(steps._scale.value) == 16.0
