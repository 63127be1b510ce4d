"""Transfer learning on VGG16 with an eighth of its filters, and some tests on the real one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest
from keras.applications import VGG16

import spaces
from data.dataset.task import Task
from data.errors import CacheError, SettingsError
from spaces.training.transfer import frozen_outputs as frozen_module
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES, bare
from spaces.training.transfer.frozen_outputs import Frozen, frozen_outputs
from spaces.training.transfer.heads import _set_statistics, _stages, build_head
from spaces.training.transfer.weights import NONE
from spaces.vgg16_transfer import VGG16Transfer
from tests.support.narrow_vgg16 import narrow_vgg16
from tests.support.pictures import picture_cache, picture_task

FAMILY = VGG16Transfer(NONE, dict.fromkeys(BACKBONES, NONE))
FROZEN: dict[str, Any] = {**FAMILY.baseline(10), "pooling": "avg", "units_1": 32, "units_2": 16}
UNFROZEN = {"training": "unfrozen", "unfrozen_blocks": 1, "unfrozen_learning_rate": 1e-3}
IN_TURN = {**UNFROZEN, "training": "in_turn", "head_share": 0.4, "learning_rate": 1e-2, "epochs": 5}


@pytest.fixture(scope="module", autouse=True)
def narrow_backbone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "VGG16", narrow_vgg16)
        yield


@pytest.fixture
def real_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Images whose stored outputs are those of the real VGG16."""
    monkeypatch.setattr(keras.applications, "VGG16", VGG16)
    return picture_task(picture_cache(tmp_path / "cache"), folds=2)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return picture_task(picture_cache(tmp_path_factory.mktemp("pictures") / "cache"), folds=2)


def predict(model: Any, task: Task, fold: int) -> np.ndarray:
    # Without `predict`, which would compile each network for a single batch.
    return np.asarray(model(task.X[task.folds[fold].valid], training=False))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pooling": "flatten", "standardise": True},
        {"backbone": "mobilenetv3small", "pooling": "max", "penalty": "decay", "weight_decay": 0.1},
        {**UNFROZEN, "pooling": "flatten", "standardise": True},
        {"dropped_blocks": 2, "map_pooling": "max"},
        {**UNFROZEN, "dropped_blocks": 2, "unfrozen_blocks": 2, "map_pooling": "avg"},
        IN_TURN,
    ],
    ids=["frozen", "flatten", "mobilenet", "unfrozen", "dropped", "dropped and unfrozen", "in turn"],
)
def test_the_fitted_network_predicts_from_images_what_the_head_predicted_from_cached_outputs(
    task: Task, change: dict[str, Any], tmp_path: Path
) -> None:
    check_fitted_network(task, change, tmp_path)


@pytest.mark.slow
def test_the_fitted_network_of_the_real_backbone_predicts_the_same(real_task: Task, tmp_path: Path) -> None:
    check_fitted_network(real_task, IN_TURN, tmp_path)
    assert FAMILY.learner(FROZEN, real_task, seed=0).fitted().model.count_params() > 14_000_000


def check_fitted_network(task: Task, change: dict[str, Any], folder: Path) -> None:
    """Train for three epochs; compare the exported network with the last predictions."""
    learner = FAMILY.learner({**FROZEN, **change}, task, seed=0)
    for epoch in range(3):
        outcome = learner.run_epoch(epoch)
    for fold in range(2):
        fitted = learner.fitted(fold)
        probabilities = predict(fitted.model, task, fold)
        np.testing.assert_allclose(probabilities, outcome.probabilities[fold], atol=1e-5)
    assert outcome.probabilities[0].std() > 0
    fitted.model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(predict(loaded, task, 1), probabilities, atol=1e-6)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in loaded.layers)
    assert FAMILY.prepare(task.X[:2], fitted.preparation).dtype == np.uint8


def test_heads_learn(task: Task) -> None:
    config = {**FROZEN, "standardise": True, "optimizer": "adam", "learning_rate": 1e-2, "penalty": "none"}
    learner = FAMILY.learner(config, task, seed=0)
    for epoch in range(10):
        outcome = learner.run_epoch(epoch)
    for fold, probabilities in zip(task.folds, outcome.probabilities, strict=True):
        assert (probabilities.argmax(axis=1) == task.y[fold.valid]).mean() > 0.7


def test_blocks_are_trained_only_while_unfrozen(task: Task) -> None:
    config = {**FROZEN, **IN_TURN}

    def kernels(learner: Any) -> list[np.ndarray]:
        model = learner.fitted().model
        return [np.asarray(model.get_layer(name).kernel) for name in ("block4_conv3", "block5_conv1")]

    learner = FAMILY.learner(config, task, seed=0)
    learner.run_epoch(0)
    frozen, last = kernels(learner)
    learner.run_epoch(1)
    assert np.array_equal(kernels(learner)[1], last)
    learner.run_epoch(2)
    assert not np.array_equal(kernels(learner)[1], last)
    assert np.array_equal(kernels(learner)[0], frozen)


def test_a_restored_learner_continues(task: Task) -> None:
    config = {**FROZEN, **IN_TURN, "dropout": 0.3}
    original = FAMILY.learner(config, task, seed=0)
    for epoch in range(3):
        original.run_epoch(epoch)
    restored = FAMILY.learner(config, task, seed=0)
    restored.restore(original.state())
    expected, outcome = original.run_epoch(3), restored.run_epoch(3)
    np.testing.assert_allclose(outcome.probabilities[0], expected.probabilities[0], atol=1e-5)
    assert outcome.train_loss == pytest.approx(expected.train_loss, abs=1e-5)


def test_the_frozen_part_runs_once(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    FAMILY.learner(FROZEN, task, seed=0)

    def compute_again(*_: object) -> None:
        raise AssertionError("the frozen part ran again")

    monkeypatch.setattr(frozen_module, "_compute", compute_again)
    refit = dataclasses.replace(task, folds=task.folds[:1])
    for change in ({}, {"pooling": "max", "learning_rate": 1e-3}, {"pooling": "flatten"}):
        FAMILY.learner({**FROZEN, **change}, refit, seed=1).run_epoch(0)
    with pytest.raises(AssertionError, match="ran again"):
        FAMILY.learner(
            {**FROZEN, **UNFROZEN, "unfrozen_blocks": 2, "dropped_blocks": 1, "map_pooling": "avg"},
            task,
            seed=0,
        )


def test_the_file_name_depends_on_everything_that_determines_the_outputs(task: Task, tmp_path: Path) -> None:
    file = tmp_path / "other.weights.h5"
    file.write_bytes(b"weights")
    reference = Frozen(task.X.origin, 32, "vgg16", NONE, 0)
    changes: tuple[dict[str, Any], ...] = (
        {"origin": task.X.origin._replace(fingerprint="2" * 64)},
        {"size": 64},
        {"backbone": "xception"},
        {"weights": str(file)},
        {"unfrozen": 1},
        {"dropped": 2},
    )
    paths = {reference.path, *(reference._replace(**change).path for change in changes)}
    assert len(paths) == len(changes) + 1
    # Trained and removed blocks are both outside the frozen part.
    assert reference._replace(unfrozen=1, dropped=1).path == reference._replace(dropped=2).path
    original_path = reference._replace(weights=str(file)).path
    file.write_bytes(b"weights of another training")
    assert reference._replace(weights=str(file)).path != original_path


def test_a_scratch_folder_that_cannot_be_written_is_reported(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "file" / "scratch"))
    with pytest.raises(CacheError, match=r"cannot be written .*GENRE_SEARCH_SCRATCH"):
        frozen_outputs(Frozen(task.X.origin, 32, "vgg16", NONE, 0))


def test_a_cache_that_has_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    origin = picture_task(picture_cache(tmp_path / "cache", tracks=10)).X.origin
    picture_cache(tmp_path / "cache", tracks=10)
    with pytest.raises(CacheError, match="its data changed after the search started"):
        frozen_outputs(Frozen(origin, 32, "vgg16", NONE, 0))


def test_the_space_contains_the_baseline() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions: dict[str, Any] = {}
    for _ in range(100):
        trial = study.ask()
        FAMILY.space(trial, 20)
        distributions |= trial.distributions
    baseline = FAMILY.baseline(20)
    assert set(baseline) <= set(distributions)
    for key, value in baseline.items():
        distribution = distributions[key]
        assert distribution._contains(distribution.to_internal_repr(value)), key
    assert distributions["backbone"].choices == tuple(BACKBONES)
    assert FAMILY.baseline(3)["epochs"] == 3


def test_a_search_uses_the_backbones_that_accept_the_image_size(task: Task) -> None:
    family = spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights=NONE)
    assert family.weights == dict.fromkeys(("vgg16", "efficientnetv2b0", "mobilenetv3small"), NONE)
    assert family.baseline(10)["weights"] == NONE
    recorded = spaces.get("vgg16_transfer").as_recorded(family.baseline(10), family.weights)
    assert (recorded.weights, recorded.baseline(10)) == (family.weights, family.baseline(10))
    with pytest.raises(SettingsError, match="--weights none: features_mlp has no pretrained weights"):
        spaces.get("features_mlp").for_search(task.X.tensor_shape, weights=NONE)


def test_only_the_fixed_backbone_and_that_of_the_baseline_are_downloaded(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = []

    def find_weights(source: str, names: tuple[str, ...]) -> dict[str, str]:
        requested.append(names)
        return dict.fromkeys(names, "0" * 64)

    monkeypatch.setattr(pretrained, "find_weights", find_weights)
    for backbone in ("vgg16", "mobilenetv3small", "no such", None):
        fixed = {} if backbone is None else {"backbone": backbone}
        spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights="imagenet", fixed=fixed)
    all_usable = ("vgg16", "efficientnetv2b0", "mobilenetv3small")
    assert requested == [("vgg16",), ("vgg16", "mobilenetv3small"), all_usable, all_usable]


@pytest.mark.parametrize("layers", [0, 1])
def test_dropout_and_penalty_apply_to_a_head_of_any_depth(layers: int) -> None:
    config = {**FROZEN, "layers": layers, "dropout": 0.5, "penalty": "l2", "l2": 0.1}
    head = build_head(config, n_inputs=8, n_classes=3)
    assert len(head.losses) == 1
    (dropout,) = (layer for layer in head.layers if isinstance(layer, keras.layers.Dropout))
    assert dropout.rate == 0.5
    rows = np.ones((64, 8), np.float32)
    assert np.asarray(head(rows, training=True)).std(axis=0).max() > 1e-2
    assert np.asarray(head(rows, training=False)).std(axis=0).max() < 1e-4


def test_a_weights_file_restricts_the_space_to_its_backbone(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "mobile.weights.h5"
    bare("mobilenetv3small", 32).save_weights(path)
    family = spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights=str(path))
    assert list(family.weights) == ["mobilenetv3small"]
    baseline = family.baseline(10)
    assert (baseline["backbone"], baseline["weights"]) == ("mobilenetv3small", str(path))
    recorded = spaces.get("vgg16_transfer").as_recorded(baseline, family.weights)
    recorded.check_recorded()
    path.write_bytes(b"other weights")
    for use in (lambda: recorded.learner({**FROZEN, **baseline}, task, seed=0), recorded.check_recorded):
        with pytest.raises(SettingsError, match="have changed since the search began; restore the file"):
            use()


def test_images_that_are_too_small_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    small = picture_task(picture_cache(tmp_path / "cache", tracks=10, size=16))
    with pytest.raises(SettingsError, match="16 x 16 pixels, but vgg16 needs at least 32"):
        spaces.get("vgg16_transfer").for_search(small.X.tensor_shape, weights=NONE)


@pytest.mark.slow
def test_a_search_records_the_weights(ray_cluster: None, tmp_path: Path, real_task: Task) -> None:
    from results.evaluation.trials import find_trial
    from results.exporting.refit import refit
    from search import SearchSettings, run_search
    from search.plan import space_of

    settings = SearchSettings.checked(
        family="vgg16_transfer",
        cache=real_task.X.origin.cache,
        runs=str(tmp_path / "runs"),
        name="small",
        trials=3,
        max_epochs=2,
        max_concurrent=1,
        weights=NONE,
        set={"backbone": "vgg16", "training": "frozen", "epochs": 2},
    )
    run = run_search(settings)
    info, trials = run.info(), run.trials()
    assert trials["status"].isin(["COMPLETE", "PRUNED"]).all(), trials["error"].tolist()
    assert info.weights == {"vgg16": NONE}
    assert set(trials["config.weights"]) == {NONE}
    assert space_of(info).family.weights == info.weights
    refitted = refit(find_trial(run))
    assert refitted.fitted.model.input_shape == (None, 32, 32, 3)


def test_missing_weights_are_refused_before_the_search_writes_anything(tmp_path: Path, task: Task) -> None:
    from search import SearchSettings
    from search.plan import make_plan

    settings = SearchSettings.checked(
        family="vgg16_transfer",
        cache=task.X.origin.cache,
        runs=str(tmp_path),
        name="none",
        weights="nowhere.h5",
    )
    with pytest.raises(SettingsError, match=r"nowhere\.h5: no such file"):
        make_plan(settings)
    assert not list(tmp_path.iterdir())


def test_statistics_of_many_rows_in_half_precision_do_not_overflow() -> None:
    inputs = keras.Input((1, 1, 2))
    x = keras.layers.Activation("linear", name="suffix", dtype="float16")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float16")(x)
    head = build_head({**FROZEN, "standardise": True, "layers": 0}, 2, 3)
    core = keras.Model(inputs, head(x))
    rows = np.random.default_rng(0).normal((100.0, 3.0), (4.0, 0.5), size=(800, 1, 1, 2)).astype(np.float32)
    _set_statistics(core, rows)
    mean, variance = core.get_layer("head").get_layer("standardise").get_weights()
    np.testing.assert_allclose(mean, [100.0, 3.0], rtol=0.01)
    np.testing.assert_allclose(variance, [16.0, 0.25], rtol=0.15)


def test_training_the_head_alone_uses_the_same_outputs_as_the_cache(task: Task) -> None:
    # This backbone drops paths during training.
    config = {**FROZEN, **IN_TURN, "backbone": "efficientnetv2b0"}
    core = FAMILY.learner(config, task, seed=0)._folds._core  # type: ignore[attr-defined]
    rows = np.random.default_rng(0).normal(size=(4, *core.input_shape[1:])).astype(np.float32)
    suffix = core.get_layer("suffix")
    np.testing.assert_allclose(suffix(rows, training=True), suffix(rows, training=False), rtol=1e-5)


def test_each_stage_has_its_own_epochs_and_learning_rate() -> None:
    stages = _stages({**FROZEN, **IN_TURN})
    assert [(stage.epochs, stage.learning_rate) for stage in stages] == [(2, 1e-2), (3, 1e-3)]
