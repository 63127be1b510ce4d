from __future__ import annotations

from typing import Any

import optuna
import pytest

from spaces.training.optimizer_space import learning_rate, suggest_optimizer, weight_decay


def suggested(**fixed: Any) -> optuna.Trial:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(fixed)
    trial = study.ask()
    suggest_optimizer(trial, rates=(1e-4, 1e-3), sgd_rates=(1e-2, 1e-1))
    return trial


@pytest.mark.parametrize(("optimizer", "low", "high"), [("adam", 1e-4, 1e-3), ("sgd", 1e-2, 1e-1)])
def test_each_optimizer_has_its_own_range_of_learning_rates(optimizer: str, low: float, high: float) -> None:
    trial = suggested(optimizer=optimizer, decay=False)
    assert low <= learning_rate(trial.params) <= high
    assert ("sgd_learning_rate" in trial.params) == (optimizer == "sgd")
    assert ("learning_rate" in trial.params) == (optimizer != "sgd")


def test_weight_decay_is_suggested_only_if_it_is_used() -> None:
    without, used = suggested(decay=False), suggested(decay=True)
    assert weight_decay(without.params) == 0.0
    assert "weight_decay" not in without.params
    assert 1e-4 <= weight_decay(used.params) <= 1.0
