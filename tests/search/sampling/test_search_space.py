from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import optuna
import pytest
from ray import cloudpickle

import spaces
from data.errors import SettingsError
from search.sampling.grid import grid_points
from search.sampling.search_space import SearchSpace, make_space
from search.sampling.warm_start import fit
from search.settings import SearchSettings
from search.storage.journal_backend import Journal
from search.storage.study import configuration
from search.tune.optuna_searcher import TruthfulOptunaSearch

FAMILY = spaces.get("features_mlp")


def space(tmp_path: Path, content: str | None = None, **fixed: Any) -> SearchSpace:
    file = None
    if content is not None:
        file = str(tmp_path / "space.yaml")
        Path(file).write_text(content)
    return make_space(FAMILY, 50, fixed=fixed, file=file)


def suggested(space: SearchSpace, trials: int = 12) -> list[dict[str, Any]]:
    configs = []
    with tempfile.TemporaryDirectory() as folder:
        searcher = TruthfulOptunaSearch(
            space=space,
            metric="val_accuracy",
            mode="max",
            points_to_evaluate=[FAMILY.baseline(50)],
            sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=3, multivariate=True, group=True),
            storage=Journal(Path(folder) / "study.journal"),
            study_name="test",
        )
        for number in range(trials):
            config = searcher.suggest(str(number))
            assert config is not None
            configs.append({key: config[key] for key in config if not key.startswith("trial_")})
            searcher.study.tell(number, number / trials)
        assert [configuration(trial) for trial in searcher.study.trials] == configs
    return configs


def test_fixed_values_apply_to_all_trials_except_the_baseline(tmp_path: Path) -> None:
    narrowed = space(
        tmp_path, learning_rate="1e-3", batch_size="16", decay="false", optimizer="adam", layers="2"
    )
    baseline, *configurations = suggested(cloudpickle.loads(cloudpickle.dumps(narrowed)))
    assert baseline == FAMILY.baseline(50)
    for config in configurations:
        assert config["learning_rate"] == 1e-3
        assert type(config["batch_size"]) is int
        assert (config["batch_size"], config["decay"], config["layers"]) == (16, False, 2)
        assert "weight_decay" not in config
    described = narrowed.describe()
    assert described["batch_size"]["attributes"]["choices"] == [16, 5]
    assert described["learning_rate"]["attributes"]["low"] == described["learning_rate"]["attributes"]["high"]


@pytest.mark.parametrize("name", spaces.names())
def test_baseline_and_portfolio_are_inside_the_space(name: str) -> None:
    family = spaces.get(name)
    whole = SearchSpace(family, 100)
    for config in (family.BASELINE, *family.PORTFOLIO):
        assert fit(config, whole) == config


def test_ranges_are_narrowed_and_widened(tmp_path: Path) -> None:
    narrowed = space(
        tmp_path,
        "learning_rate: {low: 1e-5, high: 2.0e-5}\nunits_1: {high: 20}\nactivation: [tanh, gelu]\n"
        "dropout: {low: 0.1, high: 0.2, log: true}\nbatch_size: {choices: [32]}\n",
        optimizer="adam",
    )
    baseline, *configurations = suggested(narrowed)
    assert baseline == FAMILY.baseline(50)
    for config in configurations:
        assert 1e-5 <= config["learning_rate"] <= 2e-5
        assert 16 <= config["units_1"] <= 20
        assert config["activation"] in ("tanh", "gelu")
        assert 0.1 <= config["dropout"] <= 0.2
        assert config["batch_size"] == 32


@pytest.mark.parametrize(
    ("content", "fixed", "message"),
    [
        (None, {"lr": "1"}, "--set: no parameter 'lr'; the parameters are activation, averaging, batch_size"),
        (None, {"learning_rate": "5"}, "--set learning_rate=5: outside the space; 0.0003 to 0.02"),
        (None, {"learning_rate": "fast"}, "--set learning_rate=fast: outside the space"),
        (None, {"learning_rate": "@1"}, "--set learning_rate=@1: outside the space"),
        (None, {"layers": "1.5"}, "--set layers=1.5: outside the space; 1 to 3"),
        (None, {"scaler": "none of these"}, "outside the space; one of standard"),
        (None, {"decay": "1"}, "--set decay=1: outside the space; one of False, True"),
        (None, {"layers": "1", "units_3": "64"}, "--set units_3: never used with these fixed parameters"),
        ("epochs: {high: 300}", {}, "space.yaml: epochs: 300 is more than --max-epochs 50"),
        ("lr: [1]", {}, "space.yaml: no parameter 'lr'; the parameters are"),
        ("units_1: {low: 9, high: 3}", {}, "space.yaml: units_1: "),
        ("units_1: {lowest: 9}", {}, "units_1: expected a list of choices, or low, high and log"),
        ("units_1: many", {}, "units_1: expected a list of choices, or low, high and log"),
        ("dropout: {low: 0, log: true}", {}, "space.yaml: dropout: "),
        ("dropout: {low: little}", {}, "space.yaml: dropout: could not convert string to float: 'little'"),
        ("activation: [relu, magic]", {}, "activation=magic: outside the space; one of relu"),
        ("activation: {low: 1}", {}, "activation: has no bounds; it is one of relu"),
        ("activation: {choices: [relu], low: 1}", {}, "activation: choices stand alone"),
        ("[1, 2]", {}, "expected parameters, each with low and high, or with choices"),
        ("a: [", {}, "not a YAML file"),
    ],
)
def test_values_outside_the_space_are_rejected(
    tmp_path: Path, content: str | None, fixed: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        space(tmp_path, content, **fixed)
    assert message in str(caught.value)


def test_a_missing_file() -> None:
    with pytest.raises(SettingsError, match=r"--space none\.yaml: no such file"):
        make_space(FAMILY, 50, fixed={}, file="none.yaml")


def narrow_space(tmp_path: Path) -> SearchSpace:
    fixed = {"scaler": "standard", "activation": "relu", "normalisation": "none", "optimizer": "adam"}
    fixed |= {"schedule": "constant", "decay": "false", "batch_size": "16", "averaging": "0.0"}
    fixed |= {"input_dropout": "0", "label_smoothing": "0", "mixup": "0", "epochs": "50", "dropout": "0"}
    return space(tmp_path, "layers: {high: 2}\nunits_1: {low: 16, high: 64}\n", **fixed, units_2="32")


def test_a_grid_contains_every_combination_once(tmp_path: Path) -> None:
    points = grid_points(narrow_space(tmp_path), most=100)
    # 2 numbers of layers, 3 widths of the first layer, 3 learning rates.
    assert len(points) == 18
    assert len({tuple(sorted(point.items())) for point in points}) == 18
    assert {point["units_1"] for point in points} == {16, 40, 64}
    rates = sorted({point["learning_rate"] for point in points})
    assert rates == pytest.approx([3e-4, (3e-4 * 2e-2) ** 0.5, 2e-2])


def test_a_grid_that_is_too_large_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the grid has more than 17 configurations besides the BASELINE"):
        grid_points(narrow_space(tmp_path), most=17)
    with pytest.raises(SettingsError, match="raise --trials"):
        grid_points(SearchSpace(FAMILY, 50), most=39)


def test_a_configuration_of_an_earlier_run_is_fitted_to_the_space(tmp_path: Path) -> None:
    narrowed = space(tmp_path, "units_1: {high: 40}\nactivation: [tanh, gelu]\n", batch_size="16")
    config = {**FAMILY.BASELINE, "epochs": 90, "units_1": 58, "unknown": 3}
    fitted = fit(config, narrowed)
    assert (fitted["units_1"], fitted["epochs"], fitted["units_2"]) == (40, 50, 29)
    assert not {"activation", "batch_size", "unknown"} & set(fitted)


def test_settings_accept_pairs_as_typed() -> None:
    settings = SearchSettings.checked(family="features_mlp", set=("layers=2", "scaler=standard"))
    assert settings.set == {"layers": "2", "scaler": "standard"}


def test_baseline_values_excluded_from_shared_parameters() -> None:
    # Every trial has `units_1`. Only some have `units_2`, which these samplers always draw at random.
    ranges = {"units_1": {"low": 100}, "units_2": {"low": 100}, "layers": {"low": 1}}
    assert SearchSpace(FAMILY, 50, {}, ranges).leaves_out() == {"units_1": 58}
    assert SearchSpace(FAMILY, 50).leaves_out() == {}
