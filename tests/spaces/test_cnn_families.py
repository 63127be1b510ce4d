from __future__ import annotations

from typing import Any

import keras
import numpy as np
import optuna
import pytest

import spaces
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import Task, refit_task, search_task
from data.dataset.track_scores import scores, track_probabilities
from spaces.training.convolution.learner import TensorFolds
from spaces.training.family import Family
from tests.support.tensors import BANDS, FRAMES, SIZE, write_tensor_cache

NAMES = ("melspec_cnn", "image_cnn")

SMALL: dict[str, Any] = {"blocks": 2, "filters": 8, "dense": 0, "dropout": 0.0, "batch_size": 8}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache.open(write_tensor_cache(tmp_path_factory.mktemp("tensors") / "cache"))


def task_of(cache: Cache, family: Family, *, folds: int = 2) -> Task:
    rows = cache.rows(family.reads)
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=0.0, seed=0))


def suggested(family: Family, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    family.space(trial, 20)
    return trial.params


def small(family: Family, **changes: Any) -> dict[str, Any]:
    image_size = {"size": SIZE} if family.name == "image_cnn" else {}
    return {**family.BASELINE, **SMALL, **image_size, "momentum": 0.9, "learning_rate": 3e-3, **changes}


def network(learner: Any) -> keras.Model:
    assert isinstance(learner, TensorFolds)
    return learner._core


@pytest.mark.parametrize("name", NAMES)
def test_the_baseline_is_a_point_of_the_space(name: str) -> None:
    family = spaces.get(name)
    study = optuna.create_study()
    study.enqueue_trial(family.baseline(100))
    trial = study.ask()
    family.space(trial, 100)
    assert trial.params == family.BASELINE
    for key, distribution in trial.distributions.items():
        assert distribution._contains(distribution.to_internal_repr(family.BASELINE[key])), key


@pytest.mark.parametrize("name", NAMES)
def test_the_baseline_is_the_published_network(name: str, cache: Cache) -> None:
    family = spaces.get(name)
    layers = network(family.learner(family.BASELINE, task_of(cache, family, folds=1), seed=0)).layers
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3), (3, 3), (2, 2)]
    assert [layer.filters for layer in convolutions] == [32, 32, 32]
    assert [type(layer).__name__ for layer in layers].count("BatchNormalization") == 3
    assert [layer.units for layer in layers if isinstance(layer, keras.layers.Dense)] == [64, 3]
    assert [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)] == [0.3]
    assert isinstance(layers[-4], keras.layers.Flatten)


@pytest.mark.parametrize("name", NAMES)
def test_conditional_parameters_exist_only_with_their_condition(name: str) -> None:
    for seed in range(20):
        config = suggested(spaces.get(name), seed)
        assert ("momentum" in config) == (config["normalisation"] == "batch")
        assert ("weight_decay" in config) == config["decay"]
        assert ("sgd_learning_rate" in config) == (config["optimizer"] == "sgd")


@pytest.mark.parametrize(("name", "seed"), [("melspec_cnn", 0), ("melspec_cnn", 3), ("image_cnn", 1)])
def test_suggested_configurations_train(name: str, seed: int, cache: Cache) -> None:
    family = spaces.get(name)
    config = {**suggested(family, seed), "filters": 16, "blocks": 2}
    task = task_of(cache, family, folds=1)
    outcome = family.learner(config, task, seed=0).run_epoch(0)
    assert np.isfinite(outcome.train_loss)
    assert outcome.probabilities[0].shape == (len(task.folds[0].valid), 3)
    assert outcome.probabilities[0].sum(axis=1) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("melspec_cnn", {"standardise": "band", "pieces": 2, "time_masks": 1, "mask_share": 0.1}),
        ("image_cnn", {"scale": "standard", "shift": True, "mixup": 0.1}),
    ],
)
def test_a_network_learns_and_its_export_predicts_the_same(
    name: str, changes: dict[str, Any], cache: Cache
) -> None:
    family = spaces.get(name)
    task = task_of(cache, family)
    learner = family.learner(small(family, **changes, epochs=10), task, seed=0)
    for epoch in range(10):
        outcome = learner.run_epoch(epoch)
    metrics = scores(track_probabilities(task, outcome.probabilities), task.track_label[task.validated])
    assert metrics["val_accuracy"] > 0.8
    fitted = learner.fitted(1)
    prepared = family.prepare(task.X[task.folds[1].valid], fitted.preparation)
    assert prepared.dtype == np.float32
    assert fitted.model.input_shape[1:] == prepared.shape[1:]
    assert np.asarray(fitted.model(prepared)) == pytest.approx(outcome.probabilities[1], abs=1e-4)


@pytest.mark.parametrize(
    ("kernel", "shapes"),
    [("square", [(3, 3)]), ("vertical", [(6, 3)]), ("horizontal", [(1, 5)]), ("both", [(6, 3), (1, 5)])],
)
def test_kernels_extend_along_frequency_or_time(kernel: str, shapes: list[Any], cache: Cache) -> None:
    family = spaces.get("melspec_cnn")
    config = small(family, kernel=kernel)
    layers = network(family.learner(config, task_of(cache, family, folds=1), seed=0)).layers
    first = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)][: len(shapes)]
    assert [layer.kernel_size for layer in first] == shapes
    assert sum(layer.filters for layer in first) == 8


def test_bands_are_standardised_by_the_training_rows_of_each_fold(cache: Cache) -> None:
    family = spaces.get("melspec_cnn")
    task = task_of(cache, family)
    learner = family.learner(small(family, standardise="band"), task, seed=0)
    for number, fold in enumerate(task.folds):
        model = learner.fitted(number).model
        mean, variance = _layer(model, "standardise").get_weights()
        rows = task.X[fold.train].astype(np.float32)
        assert mean == pytest.approx(rows.mean(axis=(0, 2)), rel=1e-5)
        assert variance == pytest.approx(rows.var(axis=(0, 2)), rel=1e-4)
        assert mean.shape == (BANDS,)


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return next(layer for part in nested for layer in part.layers if layer.name == name)


def test_a_piece_is_a_fraction_of_the_segment(cache: Cache) -> None:
    family = spaces.get("melspec_cnn")
    task = task_of(cache, family, folds=1)
    for pieces in (1, 2, 4):
        learner = family.learner(small(family, pieces=pieces), task, seed=0)
        assert network(learner).input_shape == (None, BANDS, FRAMES // pieces, 1)
        assert learner.fitted().model.input_shape == (None, BANDS, FRAMES)


def test_images_are_resized_to_the_configured_size(cache: Cache) -> None:
    family = spaces.get("image_cnn")
    learner = family.learner(small(family, size=20), task_of(cache, family, folds=1), seed=0)
    resizing = [layer for layer in network(learner).layers if isinstance(layer, keras.layers.Resizing)]
    assert [layer.output.shape[1:] for layer in resizing] == [(20, 20, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_a_refit_on_all_rows_has_no_predictions(name: str, cache: Cache) -> None:
    family = spaces.get(name)
    rows = cache.rows(family.reads)
    task = refit_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.2, seed=0))
    outcome = family.learner(small(family), task, seed=0).run_epoch(0)
    assert outcome.probabilities[0].shape == (0, 3)
