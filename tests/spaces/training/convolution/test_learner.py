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
from spaces.training.convolution import learner as tensor_learner
from spaces.training.convolution.augmentation import Augmentation
from spaces.training.convolution.learner import Recipe, Stage, TensorFolds

SHAPE = (8, 12)
N = 60
RNG = np.random.default_rng(0)
Y = np.arange(N, dtype=np.int32) % 2
X = RNG.normal(size=(N, *SHAPE))
X[Y == 1, :4] += 1.0
X = X.astype(np.float16)


def task_of(*, folds: int = 2) -> Task:
    rows = np.arange(N)
    parts = tuple(Fold(rows[rows % 3 != part], rows[rows % 3 == part]) for part in range(folds))
    names = np.array([f"t{number}" for number in range(N)], dtype=object)
    return Task(X, Y, np.arange(N, dtype=np.int32), names, ("a", "b"), parts)


def network(*, filters: int = 4, width: int = SHAPE[1]) -> keras.Model:
    from keras import layers

    inputs = keras.Input((SHAPE[0], width, 1))
    x = layers.Conv2D(filters, 3, name="convolution")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(2, dtype="float32", name="logits")(x))


def recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "stages": (Stage(6, 2e-2),),
        "optimizer": "adam",
        "batch_size": 8,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "label_smoothing": 0.1,
        "augment": Augmentation(time_masks=1, frequency_masks=1, mask_share=0.2, mixup=0.2),
    }
    return Recipe(**(given | changes))


def learner(*, task: Task | None = None, build: Any = network, seed: int = 0, **changes: Any) -> TensorFolds:
    told = {name: changes.pop(name) for name in ("resident_bytes", "policy", "adapt") if name in changes}
    return TensorFolds(build, recipe(**changes), task or task_of(), seed=seed, **told)


def test_it_learns_in_every_fold() -> None:
    one = learner()
    for epoch in range(8):
        outcome = one.run_epoch(epoch)
    for fold, probabilities in zip(task_of().folds, outcome.probabilities, strict=True):
        assert probabilities.shape == (len(fold.valid), 2)
        assert (probabilities.argmax(axis=1) == Y[fold.valid]).mean() > 0.8


def test_folds_share_one_compilation() -> None:
    one = learner(task=task_of(folds=3))
    for epoch in range(2):
        one.run_epoch(epoch)
    assert one._steps.run.experimental_get_tracing_count() <= 2  # the second lets sizes vary
    assert one._judge.run.experimental_get_tracing_count() == 1


def test_a_fold_has_the_numbers_it_has_alone() -> None:
    alone, together = learner(task=task_of(folds=1)), learner(task=task_of(folds=3))
    for epoch in range(2):
        single, several = alone.run_epoch(epoch), together.run_epoch(epoch)
    assert np.array_equal(single.probabilities[0], several.probabilities[0])


@pytest.mark.parametrize("folds", [1, 3])
def test_a_restored_learner_goes_on_with_the_same_numbers(folds: int) -> None:
    task = task_of(folds=folds)
    whole, begun, restored = learner(task=task), learner(task=task), learner(task=task)
    for epoch in range(4):
        expected = whole.run_epoch(epoch)
        # Whoever looks at it changes nothing.
        whole.state()
    for epoch in range(2):
        begun.run_epoch(epoch)
    # What it has learnt since it was built counts no more.
    restored.run_epoch(0)
    restored.restore(begun.state())
    for epoch in range(2, 4):
        outcome = restored.run_epoch(epoch)
    assert outcome.train_loss == expected.train_loss
    for here, there in zip(outcome.probabilities, expected.probabilities, strict=True):
        assert np.array_equal(here, there)


def test_state_of_another_network_is_refused() -> None:
    state = learner(build=lambda: network(filters=5)).state()
    with pytest.raises(RunError, match="another network"):
        learner().restore(state)


def test_seed_decides() -> None:
    first, again, other = (learner(seed=seed).run_epoch(0).train_loss for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_streamed_tensors_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from spaces.training import device_data as feeding

    monkeypatch.setattr(feeding, "_PIECE_BYTES", 3 * 8 * X[0].nbytes)
    resident, streamed = learner(), learner(resident_bytes=0)
    assert resident._feed.resident
    assert not streamed._feed.resident
    for epoch in range(2):
        kept, read = resident.run_epoch(epoch), streamed.run_epoch(epoch)
    assert kept.train_loss == pytest.approx(read.train_loss, rel=1e-6)
    for here, there in zip(kept.probabilities, read.probabilities, strict=True):
        assert np.array_equal(here, there)


@pytest.mark.parametrize("pieces", [1, 3])
def test_fitted_model_judges_as_the_fold_was_judged(pieces: int) -> None:
    one = learner(build=lambda: network(width=SHAPE[1] // pieces), pieces=pieces)
    for epoch in range(2):
        outcome = one.run_epoch(epoch)
    model = one.fitted(1).model
    assert model.input_shape == (None, *SHAPE)
    judged = np.asarray(model(X[task_of().folds[1].valid].astype(np.float32)))
    assert judged == pytest.approx(outcome.probabilities[1], abs=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (SHAPE[0] * SHAPE[1],)])
def test_every_row_is_judged_once_whatever_the_size_of_its_fold(shape: tuple[int, ...]) -> None:
    rows = np.arange(N)
    parts = (Fold(rows[41:], rows[:41]), Fold(rows[:50], rows[50:]))
    task = dataclasses.replace(task_of(), X=X.reshape(N, *shape), folds=parts)

    def dense() -> keras.Model:
        inputs = keras.Input(shape)
        return keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(inputs))

    one = learner(task=task, build=network if len(shape) == 2 else dense, augment=None)
    outcome = one.run_epoch(0)
    for number, fold in enumerate(parts):
        expected = one.fitted(number).model.predict(task.X[fold.valid].astype(np.float32), verbose=0)
        assert outcome.probabilities[number] == pytest.approx(expected, abs=1e-5)


def test_statistics_come_from_training_rows_only() -> None:
    seen = []
    learner(task=task_of(folds=2), adapt=lambda _, rows: seen.append(rows))
    for fold, rows in zip(task_of().folds, seen, strict=True):
        assert np.array_equal(rows, X[fold.train])


def test_stages_train_what_they_unfreeze() -> None:
    def freeze(model: keras.Model) -> None:
        model.get_layer("convolution").trainable = False

    def thaw(model: keras.Model) -> None:
        model.get_layer("convolution").trainable = True

    stages = (Stage(2, 1e-2, freeze), Stage(4, 1e-3, thaw))
    one = learner(task=task_of(folds=1), stages=stages)
    assert one.n_parameters == learner(task=task_of(folds=1)).n_parameters
    before = one._core.get_layer("convolution").get_weights()[0]
    for epoch in range(2):
        one.run_epoch(epoch)
    assert np.array_equal(one._core.get_layer("convolution").get_weights()[0], before)
    assert "0.weight.0" not in one.state()
    one.run_epoch(2)
    assert not np.array_equal(one._core.get_layer("convolution").get_weights()[0], before)
    again = learner(task=task_of(folds=1), stages=stages)
    again.restore(one.state())
    assert np.array_equal(again.run_epoch(3).probabilities[0], one.run_epoch(3).probabilities[0])


def test_half_precision_learns_and_exports_in_single() -> None:
    one = learner(task=task_of(folds=1), policy="mixed_float16", augment=None)
    assert one._core.get_layer("convolution").compute_dtype == "float16"
    for epoch in range(6):
        outcome = one.run_epoch(epoch)
    assert outcome.probabilities[0].dtype == np.float32
    valid = task_of().folds[0].valid
    assert (outcome.probabilities[0].argmax(axis=1) == Y[valid]).mean() > 0.8
    model = one.fitted().model
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.asarray(model(X[valid].astype(np.float32))) == pytest.approx(outcome.probabilities[0], abs=0.02)


def test_nothing_to_validate_on() -> None:
    everything = Fold(np.arange(N), np.empty(0, dtype=np.int64))
    task = task_of()
    alone = Task(task.X, task.y, task.track, task.track_id, task.classes, (everything,))
    assert learner(task=alone).run_epoch(0).probabilities[0].shape == (0, 2)


def test_a_stage_has_its_own_learning_rate() -> None:
    two = learner(stages=(Stage(1, 2e-2), Stage(5, 0.0)), weight_decay=0.0, schedule="constant")
    kernels = []
    for epoch in range(3):
        two.run_epoch(epoch)
        two._keep()
        kernels.append(two._weights[0][0].numpy())
    assert not np.array_equal(kernels[0], two._initial[0][0])
    assert np.array_equal(kernels[0], kernels[1])
    assert np.array_equal(kernels[1], kernels[2])


def test_the_device_says_how_precisely_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert learner()._core.get_layer("convolution").compute_dtype == "float32"
    monkeypatch.setattr(tensor_learner, "device_precision", lambda: "mixed_float16")
    half = learner()
    assert half._core.get_layer("convolution").compute_dtype == "float16"
    # The loss is scaled: gradients of half precision would vanish.
    assert half._steps._scale is not None
    assert half.precision == "mixed_float16"
    again = half.in_full_precision()
    assert again is not None
    assert again.precision == "float32"
    assert again.in_full_precision() is None
    assert np.array_equal(
        again.run_epoch(0).probabilities[0], learner(policy="float32").run_epoch(0).probabilities[0]
    )


def test_many_trials_leave_a_bounded_number_of_graphs() -> None:
    def graphs() -> int:
        gc.collect()
        # The type, because `isinstance` would ask a weak proxy for its object, which may be gone.
        return sum(issubclass(type(each), FuncGraph) for each in gc.get_objects())

    counts = []
    for filters in (2, 3, 4, 5):
        trial = learner(build=lambda filters=filters: network(filters=filters))
        trial.run_epoch(0)
        del trial
        counts.append(graphs())
    assert counts[-1] == counts[0]


def test_a_checkpoint_of_an_earlier_version_is_refused() -> None:
    state = {name: value for name, value in learner().state().items() if name != "format"}
    with pytest.raises(RunError, match="another version of the program"):
        learner().restore(state)


def test_statistics_are_of_as_many_rows_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(tensor_learner, "_SAMPLE_BYTES", 5 * X[0].nbytes)
    learner(adapt=lambda _, rows: seen.append(len(rows)))
    assert seen == [5, 5]
