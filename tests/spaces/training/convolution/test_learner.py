from __future__ import annotations

import dataclasses
import gc
from typing import Any

import keras
import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

from data.dataset.task import Fold, Task
from data.errors import RunError
from spaces.training import device_data
from spaces.training.convolution import learner as learner_module
from spaces.training.convolution.augmentation import Augmentation
from spaces.training.convolution.learner import TensorFolds
from spaces.training.convolution.recipe import Recipe, Stage

SHAPE = (8, 12)
N = 60
RNG = np.random.default_rng(0)
Y = np.arange(N, dtype=np.int32) % 2
X = RNG.normal(size=(N, *SHAPE))
X[Y == 1, :4] += 1.0
X = X.astype(np.float16)


def task_of(*, folds: int = 2) -> Task:
    rows = np.arange(N)
    parts = tuple(Fold(rows[rows % 3 != number], rows[rows % 3 == number]) for number in range(folds))
    names = np.array([f"t{number}" for number in range(N)], dtype=object)
    return Task(X, Y, np.arange(N, dtype=np.int32), names, ("a", "b"), parts)


def network(*, filters: int = 4, width: int = SHAPE[1]) -> keras.Model:
    inputs = keras.Input((SHAPE[0], width, 1))
    x = keras.layers.Conv2D(filters, 3, name="convolution")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(2, dtype="float32", name="logits")(x))


def recipe(**changes: Any) -> Recipe:
    defaults: dict[str, Any] = {
        "stages": (Stage(6, 2e-2),),
        "optimizer": "adam",
        "batch_size": 8,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "label_smoothing": 0.1,
        "augment": Augmentation(time_masks=1, frequency_masks=1, mask_share=0.2, mixup=0.2),
    }
    return Recipe(**(defaults | changes))


def learner(*, task: Task | None = None, build: Any = network, seed: int = 0, **changes: Any) -> TensorFolds:
    options = {name: changes.pop(name) for name in ("resident_bytes", "policy", "adapt") if name in changes}
    return TensorFolds(build, recipe(**changes), task or task_of(), seed=seed, **options)


def test_every_fold_learns() -> None:
    trained = learner()
    for epoch in range(8):
        outcome = trained.run_epoch(epoch)
    for fold, probabilities in zip(task_of().folds, outcome.probabilities, strict=True):
        assert probabilities.shape == (len(fold.valid), 2)
        assert (probabilities.argmax(axis=1) == Y[fold.valid]).mean() > 0.8


def test_folds_share_one_compilation() -> None:
    three_folds = learner(task=task_of(folds=3))
    for epoch in range(2):
        three_folds.run_epoch(epoch)
    # The second compilation accepts any batch size.
    assert three_folds._steps.run.experimental_get_tracing_count() <= 2
    assert three_folds._predictor.run.experimental_get_tracing_count() == 1


def test_a_fold_does_not_depend_on_the_other_folds() -> None:
    alone, together = learner(task=task_of(folds=1)), learner(task=task_of(folds=3))
    for epoch in range(2):
        single, several = alone.run_epoch(epoch), together.run_epoch(epoch)
    assert np.array_equal(single.probabilities[0], several.probabilities[0])


@pytest.mark.parametrize("folds", [1, 3])
def test_a_restored_learner_continues_exactly(folds: int) -> None:
    task = task_of(folds=folds)
    uninterrupted, interrupted, restored = (learner(task=task) for _ in range(3))
    for epoch in range(4):
        expected = uninterrupted.run_epoch(epoch)
        # Reading the state must not change it.
        uninterrupted.state()
    for epoch in range(2):
        interrupted.run_epoch(epoch)
    # Restoring must undo earlier training.
    restored.run_epoch(0)
    restored.restore(interrupted.state())
    for epoch in range(2, 4):
        outcome = restored.run_epoch(epoch)
    assert outcome.train_loss == expected.train_loss
    for actual, reference in zip(outcome.probabilities, expected.probabilities, strict=True):
        assert np.array_equal(actual, reference)


def test_state_of_another_network_is_refused() -> None:
    state = learner(build=lambda: network(filters=5)).state()
    with pytest.raises(RunError, match="another network"):
        learner().restore(state)


def test_results_depend_on_the_seed_only() -> None:
    first, repeated, other = (learner(seed=seed).run_epoch(0).train_loss for seed in (1, 1, 2))
    assert first == repeated
    assert first != other


def test_streamed_tensors_give_the_same_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_data, "_PIECE_BYTES", 3 * 8 * X[0].nbytes)
    resident, streamed = learner(), learner(resident_bytes=0)
    assert resident._feed.resident
    assert not streamed._feed.resident
    for epoch in range(2):
        expected, outcome = resident.run_epoch(epoch), streamed.run_epoch(epoch)
    assert outcome.train_loss == pytest.approx(expected.train_loss, rel=1e-6)
    for actual, reference in zip(outcome.probabilities, expected.probabilities, strict=True):
        assert np.array_equal(actual, reference)


@pytest.mark.parametrize("pieces", [1, 3])
def test_the_fitted_model_predicts_like_its_fold(pieces: int) -> None:
    trained = learner(build=lambda: network(width=SHAPE[1] // pieces), pieces=pieces)
    for epoch in range(2):
        outcome = trained.run_epoch(epoch)
    model = trained.fitted(1).model
    assert model.input_shape == (None, *SHAPE)
    probabilities = np.asarray(model(X[task_of().folds[1].valid].astype(np.float32)))
    assert probabilities == pytest.approx(outcome.probabilities[1], abs=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (SHAPE[0] * SHAPE[1],)])
def test_every_validation_row_is_predicted_once_in_folds_of_any_size(shape: tuple[int, ...]) -> None:
    rows = np.arange(N)
    parts = (Fold(rows[41:], rows[:41]), Fold(rows[:50], rows[50:]))
    task = dataclasses.replace(task_of(), X=X.reshape(N, *shape), folds=parts)

    def dense() -> keras.Model:
        inputs = keras.Input(shape)
        return keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(inputs))

    trained = learner(task=task, build=network if len(shape) == 2 else dense, augment=None)
    outcome = trained.run_epoch(0)
    for number, fold in enumerate(parts):
        expected = trained.fitted(number).model.predict(task.X[fold.valid].astype(np.float32), verbose=0)
        assert outcome.probabilities[number] == pytest.approx(expected, abs=1e-5)


def test_statistics_are_computed_from_training_rows_only() -> None:
    adapted_to = []
    learner(task=task_of(folds=2), adapt=lambda _, rows: adapted_to.append(rows))
    for fold, rows in zip(task_of().folds, adapted_to, strict=True):
        assert np.array_equal(rows, X[fold.train])


def test_a_stage_trains_only_the_layers_that_it_unfreezes() -> None:
    def freeze(model: keras.Model) -> None:
        model.get_layer("convolution").trainable = False

    def unfreeze(model: keras.Model) -> None:
        model.get_layer("convolution").trainable = True

    stages = (Stage(2, 1e-2, freeze), Stage(4, 1e-3, unfreeze))
    trained = learner(task=task_of(folds=1), stages=stages)
    assert trained.n_parameters == learner(task=task_of(folds=1)).n_parameters
    before = trained._core.get_layer("convolution").get_weights()[0]
    for epoch in range(2):
        trained.run_epoch(epoch)
    assert np.array_equal(trained._core.get_layer("convolution").get_weights()[0], before)
    assert "0.weight.0" not in trained.state()
    trained.run_epoch(2)
    assert not np.array_equal(trained._core.get_layer("convolution").get_weights()[0], before)
    restored = learner(task=task_of(folds=1), stages=stages)
    restored.restore(trained.state())
    assert np.array_equal(restored.run_epoch(3).probabilities[0], trained.run_epoch(3).probabilities[0])


def test_half_precision_learns_and_is_exported_in_float32() -> None:
    trained = learner(task=task_of(folds=1), policy="mixed_float16", augment=None)
    assert trained._core.get_layer("convolution").compute_dtype == "float16"
    for epoch in range(6):
        outcome = trained.run_epoch(epoch)
    assert outcome.probabilities[0].dtype == np.float32
    valid = task_of().folds[0].valid
    assert (outcome.probabilities[0].argmax(axis=1) == Y[valid]).mean() > 0.8
    model = trained.fitted().model
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.asarray(model(X[valid].astype(np.float32))) == pytest.approx(outcome.probabilities[0], abs=0.02)


def test_a_fold_without_validation_rows_has_no_predictions() -> None:
    all_rows = Fold(np.arange(N), np.empty(0, dtype=np.int64))
    task = dataclasses.replace(task_of(), folds=(all_rows,))
    assert learner(task=task).run_epoch(0).probabilities[0].shape == (0, 2)


def test_a_stage_has_its_own_learning_rate() -> None:
    trained = learner(stages=(Stage(1, 2e-2), Stage(5, 0.0)), weight_decay=0.0, schedule="constant")
    kernels = []
    for epoch in range(3):
        trained.run_epoch(epoch)
        trained._save_active()
        kernels.append(trained._weights[0][0].numpy())
    assert not np.array_equal(kernels[0], trained._initial[0][0])
    assert np.array_equal(kernels[0], kernels[1])
    assert np.array_equal(kernels[1], kernels[2])


def test_the_device_determines_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert learner()._core.get_layer("convolution").compute_dtype == "float32"
    monkeypatch.setattr(learner_module, "device_precision", lambda: "mixed_float16")
    half = learner()
    assert half._core.get_layer("convolution").compute_dtype == "float16"
    # Without a loss scale, gradients in half precision would vanish.
    assert half._steps._scale is not None
    assert half.precision == "mixed_float16"
    full = half.in_full_precision()
    assert full is not None
    assert full.precision == "float32"
    assert full.in_full_precision() is None
    assert np.array_equal(
        full.run_epoch(0).probabilities[0], learner(policy="float32").run_epoch(0).probabilities[0]
    )


def test_many_trials_leave_a_bounded_number_of_graphs() -> None:
    def count_graphs() -> int:
        gc.collect()
        # `isinstance` would dereference weak proxies, whose objects may no longer exist.
        return sum(issubclass(type(candidate), FuncGraph) for candidate in gc.get_objects())

    counts = []
    for filters in (2, 3, 4, 5):
        trial = learner(build=lambda filters=filters: network(filters=filters))
        trial.run_epoch(0)
        del trial
        counts.append(count_graphs())
    assert counts[-1] == counts[0]


def test_a_checkpoint_of_an_earlier_version_is_refused() -> None:
    state = {name: value for name, value in learner().state().items() if name != "format"}
    with pytest.raises(RunError, match="another version of the program"):
        learner().restore(state)


def test_the_rows_for_statistics_are_limited_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    n_rows: list[int] = []
    monkeypatch.setattr(learner_module, "_SAMPLE_BYTES", 5 * X[0].nbytes)
    learner(adapt=lambda _, rows: n_rows.append(len(rows)))
    assert n_rows == [5, 5]
