from __future__ import annotations

import dataclasses
import gc
import json
from typing import Any

import numpy as np
import optuna
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

import spaces
from data.dataset.splits import make_split
from data.dataset.task import Task, refit_task, search_task
from data.dataset.track_scores import scores, track_probabilities
from data.errors import RunError
from spaces.training.dense import learner as dense_learner
from spaces.training.dense.epoch import compiled_epoch
from spaces.training.dense.scalers import Scaler, fit_scaler
from spaces.training.dense.weights import MAX_LAYERS
from tests.support.rows import make_rows

FAMILY = spaces.get("features_mlp")

EVERY_OPTION = {
    **FAMILY.BASELINE,
    "scaler": "quantile",
    "units_1": 32,
    "normalisation": "batch",
    "input_dropout": 0.2,
    "dropout": 0.3,
    "decay": True,
    "weight_decay": 0.1,
    "batch_size": 16,
    "label_smoothing": 0.1,
    "mixup": 0.4,
    "averaging": 0.8,
    "schedule": "cosine",
    "epochs": 8,
}
"""A configuration that uses every option of training."""


def task_of(*, folds: int = 3, tracks: int = 20, segments: int = 1) -> Task:
    rows = make_rows(tracks=tracks, segments=segments)
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=0.0, seed=0))


def suggested(seed: int, max_epochs: int = 20) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    FAMILY.space(trial, max_epochs)
    return trial.params


def test_the_baseline_is_a_point_of_the_space() -> None:
    study = optuna.create_study()
    study.enqueue_trial(FAMILY.baseline(100))
    trial = study.ask()
    FAMILY.space(trial, 100)
    assert trial.params == FAMILY.BASELINE
    for name, distribution in trial.distributions.items():
        assert distribution._contains(distribution.to_internal_repr(FAMILY.BASELINE[name])), name


def test_the_baseline_has_at_most_the_maximum_number_of_epochs() -> None:
    assert FAMILY.baseline(10)["epochs"] == 10
    assert suggested(0, max_epochs=10)["epochs"] == 10


def test_conditional_parameters_exist_only_with_their_condition() -> None:
    for seed in range(30):
        config = suggested(seed)
        assert ("units_3" in config) == (config["layers"] == 3)
        assert ("weight_decay" in config) == config["decay"]
        assert ("sgd_learning_rate" in config) == (config["optimizer"] == "sgd")
        assert ("learning_rate" in config) != (config["optimizer"] == "sgd")


@pytest.mark.parametrize("seed", range(6))
def test_every_suggested_configuration_trains(seed: int) -> None:
    task = task_of(folds=2, tracks=8)
    outcome = FAMILY.learner(suggested(seed), task, seed=0).run_epoch(0)
    assert np.isfinite(outcome.train_loss)
    for fold, probabilities in zip(task.folds, outcome.probabilities, strict=True):
        assert probabilities.shape == (len(fold.valid), 3)
        assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_baseline_learns() -> None:
    task = task_of()
    learner = FAMILY.learner(FAMILY.BASELINE, task, seed=0)
    for epoch in range(12):
        outcome = learner.run_epoch(epoch)
    metrics = scores(track_probabilities(task, outcome.probabilities), task.track_label[task.validated])
    assert metrics["val_accuracy"] > 0.6
    assert outcome.train_accuracy > 0.95


def test_a_fold_does_not_depend_on_its_validation_rows_or_other_folds() -> None:
    # Folds of equal size, because all folds have as many steps as the largest.
    task = task_of(tracks=21)
    single_fold = dataclasses.replace(task, folds=task.folds[:1])
    # The validation rows of fold 0 are training rows of all other folds.
    X = task.X.copy()
    X[task.folds[0].valid] += 100.0
    changed_rows = dataclasses.replace(task, X=X)
    learner, single_learner, changed_learner = (
        FAMILY.learner(EVERY_OPTION, variant, seed=5) for variant in (task, single_fold, changed_rows)
    )
    for epoch in range(3):
        outcome = learner.run_epoch(epoch)
        single_outcome = single_learner.run_epoch(epoch)
        changed_outcome = changed_learner.run_epoch(epoch)
        # Matrix products of another size round differently.
        assert outcome.probabilities[0] == pytest.approx(single_outcome.probabilities[0], abs=1e-4)
    expected, actual = learner.fitted(0), changed_learner.fitted(0)
    assert actual.preparation == expected.preparation
    for weight, expected_weight in zip(actual.model.get_weights(), expected.model.get_weights(), strict=True):
        assert np.array_equal(weight, expected_weight)
    assert not np.array_equal(outcome.probabilities[1], changed_outcome.probabilities[1])


def test_folds_start_from_different_weights() -> None:
    learner = FAMILY.learner(EVERY_OPTION, task_of(), seed=0)
    first, second = (learner.fitted(fold).model.get_weights()[0] for fold in (0, 1))
    assert not np.array_equal(first, second)


def test_a_restored_learner_continues_exactly() -> None:
    task = task_of()
    uninterrupted = FAMILY.learner(EVERY_OPTION, task, seed=1)
    for epoch in range(4):
        expected = uninterrupted.run_epoch(epoch)
    interrupted = FAMILY.learner(EVERY_OPTION, task, seed=1)
    for epoch in range(2):
        interrupted.run_epoch(epoch)
    restored = FAMILY.learner(EVERY_OPTION, task, seed=1)
    restored.restore(interrupted.state())
    for epoch in range(2, 4):
        outcome = restored.run_epoch(epoch)
    assert outcome.train_loss == expected.train_loss
    for actual, reference in zip(outcome.probabilities, expected.probabilities, strict=True):
        assert np.array_equal(actual, reference)


def test_state_of_another_network_is_refused() -> None:
    task = task_of()
    state = FAMILY.learner({**EVERY_OPTION, "units_1": 31}, task, seed=0).state()
    with pytest.raises(RunError, match="another network"):
        FAMILY.learner(EVERY_OPTION, task, seed=0).restore(state)


def test_results_depend_on_the_seed_only() -> None:
    task = task_of()
    first, repeated, other = (
        FAMILY.learner(EVERY_OPTION, task, seed=seed).run_epoch(0).train_loss for seed in (1, 1, 2)
    )
    assert first == repeated
    assert first != other


def test_the_fitted_model_predicts_like_its_fold() -> None:
    task = task_of()
    learner = FAMILY.learner(EVERY_OPTION, task, seed=0)
    for epoch in range(3):
        outcome = learner.run_epoch(epoch)
    fitted = learner.fitted(1)
    preparation = json.loads(json.dumps(fitted.preparation))
    prepared = FAMILY.prepare(task.X[task.folds[1].valid], preparation)
    assert prepared.dtype == np.float32
    assert np.asarray(fitted.model(prepared)) == pytest.approx(outcome.probabilities[1], abs=1e-5)


def test_a_refit_on_all_rows_has_no_predictions() -> None:
    rows = make_rows(tracks=10)
    split = make_split(rows.tracks(), folds=2, test_fraction=0.2, seed=0)
    outcome = FAMILY.learner(EVERY_OPTION, refit_task(rows, split), seed=0).run_epoch(0)
    assert outcome.probabilities[0].shape == (0, 3)


def test_other_networks_are_not_compiled_again() -> None:
    task = task_of(folds=2, tracks=8)
    for config in (
        EVERY_OPTION,
        {**EVERY_OPTION, "units_1": 20, "activation": "silu", "optimizer": "rmsprop"},
        {**EVERY_OPTION, "layers": 1, "normalisation": "layer"},
    ):
        FAMILY.learner(config, task, seed=0).run_epoch(0)
    assert compiled_epoch(MAX_LAYERS).trace_count == 1


def test_many_trials_leave_a_bounded_number_of_graphs() -> None:
    def count_graphs() -> int:
        gc.collect()
        # `isinstance` would dereference weak proxies, whose objects may no longer exist.
        return sum(issubclass(type(candidate), FuncGraph) for candidate in gc.get_objects())

    task = task_of(folds=2, tracks=8)
    # Compile the function that all configurations below share.
    FAMILY.learner(EVERY_OPTION, task, seed=0).run_epoch(0)
    n_graphs = count_graphs()
    for number in range(8):
        config = {
            **EVERY_OPTION,
            "layers": 1 + number % 2,
            "units_1": 17 + number,
            "activation": ("relu", "gelu", "silu", "tanh")[number % 4],
            "normalisation": ("none", "layer")[number // 4],
            "optimizer": ("adam", "rmsprop")[number % 2],
        }
        FAMILY.learner(config, task, seed=0).run_epoch(0)
    assert count_graphs() == n_graphs


def test_a_checkpoint_of_an_earlier_version_is_refused() -> None:
    learner = FAMILY.learner(EVERY_OPTION, task_of(), seed=0)
    state = learner.state()
    unversioned = {name: value for name, value in state.items() if name != "format"}
    for earlier in (unversioned, {**state, "format": np.array(2)}):
        with pytest.raises(RunError, match="another version of the program"):
            learner.restore(earlier)


def test_a_scaler_is_fitted_once_for_all_trials_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def counted_fit(name: str, X: np.ndarray) -> Scaler:
        fits.append(name)
        return fit_scaler(name, X)

    monkeypatch.setattr(dense_learner, "fit_scaler", counted_fit)
    first, second = task_of(), task_of(tracks=24)
    power = {**FAMILY.BASELINE, "scaler": "power"}
    for task in (first, first, second, second):
        learner = FAMILY.learner(power, task, seed=0)
        scaler = learner.fitted(1).preparation["scaler"]
        assert scaler == fit_scaler("power", task.X[task.folds[1].train])
    assert fits == ["power"] * (len(first.folds) + len(second.folds))
