from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import spaces
from data.dataset.task import Task
from data.errors import CacheError, SettingsError
from spaces.training.transfer import frozen_outputs as frozen_module
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES
from spaces.training.transfer.frozen_outputs import Frozen, frozen_outputs
from spaces.training.transfer.weights import NONE
from spaces.vgg16_transfer import VGG16Transfer, _stages, _standardise, build_head
from tests.support.pictures import picture_cache, picture_task

FAMILY = VGG16Transfer(NONE, dict.fromkeys(BACKBONES, NONE))
BASE: dict[str, Any] = {**FAMILY.baseline(10), "pooling": "avg", "units_1": 32, "units_2": 16}
FINE = {"training": "unfrozen", "unfrozen_blocks": 1, "unfrozen_learning_rate": 1e-3}
IN_TURN = {**FINE, "training": "in_turn", "head_share": 0.4, "learning_rate": 1e-2, "epochs": 5}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return picture_task(picture_cache(tmp_path_factory.mktemp("pictures") / "cache"), folds=2)


def judged(model: Any, task: Task, fold: int) -> np.ndarray:
    return np.asarray(model.predict(task.X[task.folds[fold].valid], verbose=0))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pooling": "flatten", "standardise": True},
        {"backbone": "mobilenetv3small", "pooling": "max", "penalty": "decay", "weight_decay": 0.1},
        {**FINE, "pooling": "flatten", "standardise": True},
        {"dropped_blocks": 2, "map_pooling": "max"},
        {**FINE, "dropped_blocks": 2, "unfrozen_blocks": 2, "map_pooling": "avg"},
        IN_TURN,
    ],
    ids=["frozen", "flatten", "mobilenet", "unfrozen", "dropped", "dropped and unfrozen", "in turn"],
)
def test_the_fitted_network_says_of_pictures_what_the_head_said_of_the_cached_outputs(
    task: Task, change: dict[str, Any], tmp_path: Path
) -> None:
    import keras

    learner = FAMILY.learner({**BASE, **change}, task, seed=0)
    for epoch in range(3):
        outcome = learner.run_epoch(epoch)
    for fold in range(2):
        fitted = learner.fitted(fold)
        found = judged(fitted.model, task, fold)
        np.testing.assert_allclose(found, outcome.probabilities[fold], atol=1e-5)
    assert outcome.probabilities[0].std() > 0
    fitted.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(judged(loaded, task, 1), found, atol=1e-6)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in loaded.layers)
    assert FAMILY.prepare(task.X[:2], fitted.preparation).dtype == np.uint8


def test_heads_learn(task: Task) -> None:
    config = {**BASE, "standardise": True, "optimizer": "adam", "learning_rate": 1e-2, "penalty": "none"}
    learner = FAMILY.learner(config, task, seed=0)
    for epoch in range(10):
        outcome = learner.run_epoch(epoch)
    for fold, said in zip(task.folds, outcome.probabilities, strict=True):
        assert (said.argmax(axis=1) == task.y[fold.valid]).mean() > 0.7


def test_blocks_move_only_while_unfrozen(task: Task) -> None:
    config = {**BASE, **IN_TURN}

    def blocks(learner: Any) -> list[np.ndarray]:
        model = learner.fitted().model
        return [np.asarray(model.get_layer(name).kernel) for name in ("block4_conv3", "block5_conv1")]

    learner = FAMILY.learner(config, task, seed=0)
    learner.run_epoch(0)
    frozen, last = blocks(learner)
    learner.run_epoch(1)
    assert np.array_equal(blocks(learner)[1], last)
    learner.run_epoch(2)
    assert not np.array_equal(blocks(learner)[1], last)
    assert np.array_equal(blocks(learner)[0], frozen)


def test_a_restored_learner_goes_on(task: Task) -> None:
    config = {**BASE, **IN_TURN, "dropout": 0.3}
    whole = FAMILY.learner(config, task, seed=0)
    for epoch in range(3):
        whole.run_epoch(epoch)
    second = FAMILY.learner(config, task, seed=0)
    second.restore(whole.state())
    expected, found = whole.run_epoch(3), second.run_epoch(3)
    np.testing.assert_allclose(found.probabilities[0], expected.probabilities[0], atol=1e-5)
    assert found.train_loss == pytest.approx(expected.train_loss, abs=1e-5)


def test_the_frozen_part_runs_once(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    FAMILY.learner(BASE, task, seed=0)

    def again(*_: object) -> None:
        raise AssertionError("the frozen part ran again")

    monkeypatch.setattr(frozen_module, "_compute", again)
    refit = dataclasses.replace(task, folds=task.folds[:1])
    for change in ({}, {"pooling": "max", "learning_rate": 1e-3}, {"pooling": "flatten"}):
        FAMILY.learner({**BASE, **change}, refit, seed=1).run_epoch(0)
    with pytest.raises(AssertionError, match="ran again"):
        FAMILY.learner(
            {**BASE, **FINE, "unfrozen_blocks": 2, "dropped_blocks": 1, "map_pooling": "avg"}, task, seed=0
        )


def test_outputs_are_named_by_all_that_they_depend_on(task: Task, tmp_path: Path) -> None:
    other = tmp_path / "other.weights.h5"
    other.write_bytes(b"weights")
    first = Frozen(task.X.origin, 32, "vgg16", NONE, 0)
    changes: tuple[dict[str, Any], ...] = (
        {"origin": task.X.origin._replace(fingerprint="2" * 64)},
        {"size": 64},
        {"backbone": "xception"},
        {"weights": str(other)},
        {"unfrozen": 1},
        {"dropped": 2},
    )
    paths = {first.path, *(first._replace(**change).path for change in changes)}
    assert len(paths) == len(changes) + 1
    # A block that is trained and one that is left out leave the same frozen part.
    assert first._replace(unfrozen=1, dropped=1).path == first._replace(dropped=2).path
    before = first._replace(weights=str(other)).path
    other.write_bytes(b"weights of another training")
    assert first._replace(weights=str(other)).path != before


def test_a_scratch_folder_that_cannot_be_written_is_one_line(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "file" / "scratch"))
    with pytest.raises(CacheError, match=r"cannot be written .*GENRE_SEARCH_SCRATCH"):
        frozen_outputs(Frozen(task.X.origin, 32, "vgg16", NONE, 0))


def test_outputs_of_a_cache_that_has_changed_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    origin = picture_task(picture_cache(tmp_path / "cache", tracks=10)).X.origin
    picture_cache(tmp_path / "cache", tracks=10)
    with pytest.raises(CacheError, match="holds other data than when the search began"):
        frozen_outputs(Frozen(origin, 32, "vgg16", NONE, 0))


def test_the_space_holds_the_baseline_and_what_it_suggests_can_be_built(task: Task) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    known: dict[str, Any] = {}
    for _ in range(100):
        trial = study.ask()
        FAMILY.space(trial, 20)
        known |= trial.distributions
    baseline = FAMILY.baseline(20)
    assert set(baseline) <= set(known)
    for key, value in baseline.items():
        assert known[key]._contains(known[key].to_internal_repr(value)), key
    assert known["backbone"].choices == tuple(BACKBONES)
    assert FAMILY.baseline(3)["epochs"] == 3


def test_a_search_keeps_the_backbones_that_fit(task: Task) -> None:
    family = spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights=NONE)
    assert family.weights == dict.fromkeys(("vgg16", "efficientnetv2b0", "mobilenetv3small"), NONE)
    assert family.baseline(10)["weights"] == NONE
    again = spaces.get("vgg16_transfer").as_recorded(family.baseline(10), family.weights)
    assert (again.weights, again.baseline(10)) == (family.weights, family.baseline(10))
    with pytest.raises(SettingsError, match="--weights none: features_mlp begins with no pretrained weights"):
        spaces.get("features_mlp").for_search(task.X.tensor_shape, weights=NONE)


def test_of_downloads_the_one_that_is_fixed_and_the_baselines_are_enough(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    def settled(source: str, names: tuple[str, ...]) -> dict[str, str]:
        wanted.append(names)
        return dict.fromkeys(names, "0" * 64)

    monkeypatch.setattr(pretrained, "settle", settled)
    for backbone in ("vgg16", "mobilenetv3small", "no such", None):
        fixed = {} if backbone is None else {"backbone": backbone}
        spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights="imagenet", fixed=fixed)
    every = ("vgg16", "efficientnetv2b0", "mobilenetv3small")
    assert wanted == [("vgg16",), ("vgg16", "mobilenetv3small"), every, every]


@pytest.mark.parametrize("layers", [0, 1])
def test_dropout_and_penalty_hold_for_a_head_of_any_depth(layers: int) -> None:
    import keras

    config = {**BASE, "layers": layers, "dropout": 0.5, "penalty": "l2", "l2": 0.1}
    head = build_head(config, n_inputs=8, n_classes=3)
    assert len(head.losses) == 1
    (dropped,) = (layer for layer in head.layers if isinstance(layer, keras.layers.Dropout))
    assert dropped.rate == 0.5
    rows = np.ones((64, 8), np.float32)
    assert np.asarray(head(rows, training=True)).std(axis=0).max() > 1e-2
    assert np.asarray(head(rows, training=False)).std(axis=0).max() < 1e-4


def test_a_file_leaves_its_backbone_alone(task: Task, tmp_path: Path) -> None:
    from spaces.training.transfer.backbones import bare

    path = tmp_path / "mobile.weights.h5"
    bare("mobilenetv3small", 32).save_weights(path)
    family = spaces.get("vgg16_transfer").for_search(task.X.tensor_shape, weights=str(path))
    assert list(family.weights) == ["mobilenetv3small"]
    baseline = family.baseline(10)
    assert (baseline["backbone"], baseline["weights"]) == ("mobilenetv3small", str(path))
    again = spaces.get("vgg16_transfer").as_recorded(baseline, family.weights)
    again.check_recorded()
    path.write_bytes(b"other weights")
    for refused in (lambda: again.learner({**BASE, **baseline}, task, seed=0), again.check_recorded):
        with pytest.raises(SettingsError, match="not those that the search began with"):
            refused()


def test_pictures_too_small_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    small = picture_task(picture_cache(tmp_path / "cache", tracks=10, size=16))
    with pytest.raises(SettingsError, match="16 x 16 pixels, but vgg16 needs 32 at least"):
        spaces.get("vgg16_transfer").for_search(small.X.tensor_shape, weights=NONE)


@pytest.mark.slow
def test_a_search_records_the_weights(ray_cluster: None, tmp_path: Path, task: Task) -> None:
    from results.evaluation.trials import find_trial
    from results.exporting.refit import refit
    from search import SearchSettings, run_search
    from search.plan import space_of

    settings = SearchSettings.checked(
        family="vgg16_transfer",
        cache=task.X.origin.cache,
        runs=str(tmp_path),
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


def test_weights_that_cannot_be_had_end_a_search_before_it_writes(tmp_path: Path, task: Task) -> None:
    from search import SearchSettings, run_search

    given = {"family": "vgg16_transfer", "cache": task.X.origin.cache, "runs": str(tmp_path), "name": "none"}
    with pytest.raises(SettingsError, match=r"nowhere\.h5: no such file"):
        run_search(SearchSettings.checked(**given, weights="nowhere.h5"))
    assert not list(tmp_path.iterdir())


def test_moments_of_many_rows_of_half_precision_do_not_overflow() -> None:
    import keras

    inputs = keras.Input((1, 1, 2))
    x = keras.layers.Activation("linear", name="suffix", dtype="float16")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float16")(x)
    head = build_head({**BASE, "standardise": True, "layers": 0}, 2, 3)
    core = keras.Model(inputs, head(x))
    rows = np.random.default_rng(0).normal((100.0, 3.0), (4.0, 0.5), size=(800, 1, 1, 2)).astype(np.float32)
    _standardise(core, rows)
    mean, variance = core.get_layer("head").get_layer("standardise").get_weights()
    np.testing.assert_allclose(mean, [100.0, 3.0], rtol=0.01)
    np.testing.assert_allclose(variance, [16.0, 0.25], rtol=0.15)


def test_a_head_alone_is_trained_on_what_is_cached(task: Task) -> None:
    # A backbone that drops paths in training.
    config = {**BASE, **IN_TURN, "backbone": "efficientnetv2b0"}
    core = FAMILY.learner(config, task, seed=0)._folds._core  # type: ignore[attr-defined]
    rows = np.random.default_rng(0).normal(size=(4, *core.input_shape[1:])).astype(np.float32)
    suffix = core.get_layer("suffix")
    np.testing.assert_allclose(suffix(rows, training=True), suffix(rows, training=False), rtol=1e-5)


def test_stages_in_turn_have_their_own_learning_rates() -> None:
    assert [(one.epochs, one.learning_rate) for one in _stages({**BASE, **IN_TURN})] == [(2, 1e-2), (3, 1e-3)]
