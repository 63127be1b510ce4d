from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from data.errors import SettingsError
from search.settings import SearchSettings
from search.storage.rungs import Rungs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "opera"}, "--family opera: unknown; the families are"),
        ({"trials": 0}, "--trials 0: input should be greater than or equal to 1"),
        ({"max_epochs": -1}, "--max-epochs -1"),
        ({"folds": 0}, "--folds 0"),
        ({"test_fraction": 0.9}, "--test-fraction 0.9"),
        ({"reduction_factor": 1}, "--reduction-factor 1"),
        ({"grace_period": 25}, "--grace-period 25: give a share of a trial's epochs, from 0 to 0.67"),
        ({"time_budget": 0}, "--time-budget 0"),
        ({"cpus_per_trial": 0}, "--cpus-per-trial 0"),
        ({"cpus_per_trial": 1e-5}, "--cpus-per-trial 1e-05: input should be greater"),
        ({"cpus_per_trial": float("inf")}, "--cpus-per-trial inf: input should be a finite number"),
        ({"gpus_per_trial": 1e-5}, "--gpus-per-trial 1e-05: give 0, or at least 0.0001"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial 1.5: give a fraction of one GPU, or a whole number"),
        ({"time_budget": float("inf")}, "--time-budget inf: input should be a finite number"),
        ({"searcher": "best"}, "--searcher best: unknown; choose one of tpe"),
        ({"scheduler": "never"}, "--scheduler never: unknown; choose one of asha"),
        ({"name": "a/b"}, "--name a/b: the name of a run must be a folder name"),
        ({"name": ".."}, "--name ..: the name of a run must be a folder name"),
        ({"name": "a:b"}, "--name a:b: the name of a run must be a folder name"),
        ({"name": "best"}, "--name best: reserved for the best of all runs"),
        ({"seed": -1}, "--seed -1"),
        ({"folds": 3, "splits": "partition.csv"}, "--folds cannot be used with --splits"),
        ({"test_fraction": 0.1, "splits": "partition.csv"}, "--test-fraction cannot be used with --splits"),
        (
            {"reduction_factor": 4, "scheduler": "none"},
            "--reduction-factor cannot be used with --scheduler none",
        ),
        ({"patience": 30, "max_epochs": 20}, "--patience 30: longer than --max-epochs 20"),
        ({"grace_period": 0.5, "scheduler": "none"}, "--grace-period cannot be used with --scheduler none"),
        ({"brackets": 2, "scheduler": "median"}, "--brackets cannot be used with --scheduler median"),
        ({"brackets": 3}, "--brackets 3: at most 2 with --grace-period 0.25 and"),
        ({"target": 76}, "--target 76: accuracy is at most 1; 80 % is 0.8"),
        ({"target": 1.5, "metric": "macro_f1"}, "--target 1.5: macro F1 is at most 1"),
        ({"target": 0, "metric": "log_loss"}, "--target 0: input should be greater than 0"),
        ({"stagnation": 0}, "--stagnation 0"),
        ({"set": ("lr",)}, "--set lr: expected KEY=VALUE"),
        ({"set": ("=3",)}, "--set =3: expected KEY=VALUE"),
        ({"searcher": "grid", "warm_start": "old"}, "--warm-start cannot be used with --searcher grid"),
    ],
)
def test_bad_settings_raise_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SearchSettings.checked(**{"family": "features_mlp", **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rungs_follow_from_the_family_and_the_grace_period() -> None:
    assert SearchSettings.checked(family="features_mlp").rungs == Rungs((0.25,), min_epochs=10)
    assert SearchSettings.checked(family="melspec_cnn").rungs == Rungs((0.25,), min_epochs=3)
    settings = SearchSettings.checked(family="features_mlp", grace_period=0.15, reduction_factor=2)
    assert settings.rungs == Rungs((0.15, 0.3, 0.6))


@pytest.mark.parametrize(
    ("options", "module", "option", "extra"),
    [
        ({"searcher": "gp"}, "torch", "--searcher gp", "gp"),
        ({"tensorboard": True}, "tensorboardX", "--tensorboard", "tensorboard"),
        ({"mlflow": "sqlite:///x.db"}, "mlflow", "--mlflow", "mlflow"),
        ({"wandb": "genres"}, "wandb", "--wandb", "wandb"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], module: str, option: str, extra: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find_spec(name))
    with pytest.raises(SettingsError) as caught:
        SearchSettings.checked(family="features_mlp", **options)
    expected = f"{option}: {module} not installed; run: pip install 'genre-search[{extra}]'"
    assert str(caught.value) == expected


def test_a_target_is_in_the_unit_of_the_metric() -> None:
    assert SearchSettings.checked(family="features_mlp", metric="log_loss", target=1.5).target == 1.5
