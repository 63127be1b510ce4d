from __future__ import annotations

import importlib.util

import optuna
import pytest

import spaces
from search.sampling.samplers import SEARCHERS, make_sampler

INSTALLED = [name for name in SEARCHERS if name != "gp" or importlib.util.find_spec("torch")]


@pytest.mark.parametrize("name", INSTALLED)
def test_equal_seeds_suggest_equal_configurations(name: str) -> None:
    family = spaces.get("features_mlp")

    def suggestions(seed: int) -> list[dict[str, object]]:
        study = optuna.create_study(sampler=make_sampler(name, seed=seed), direction="maximize")
        configurations = []
        for number in range(14):
            trial = study.ask()
            family.space(trial, 50)
            study.tell(trial, number / 14)
            configurations.append(trial.params)
        return configurations

    assert suggestions(1) == suggestions(1)
    assert suggestions(1) != suggestions(2)


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "cmaes"])
def test_a_resumed_sampler_repeats_no_suggestion(name: str) -> None:
    family = spaces.get("features_mlp")
    study = optuna.create_study(sampler=make_sampler(name, seed=3), direction="maximize")
    suggested = []
    for known_trials in (0, 8):
        study.sampler = make_sampler(name, seed=3, known_trials=known_trials)
        for number in range(8):
            trial = study.ask()
            family.space(trial, 50)
            study.tell(trial, number / 8)
            suggested.append(trial.params["dropout"])
    assert len(set(suggested)) == 16


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="'best' is not one of tpe"):
        make_sampler("best", seed=0)
