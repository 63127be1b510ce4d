from __future__ import annotations

import optuna
import pytest

import spaces
from search.searchers import SEARCHERS, make_sampler


@pytest.mark.parametrize("name", SEARCHERS)
def test_sampler_is_seeded_and_knows_conditional_spaces(name: str) -> None:
    family = spaces.get("features_mlp")

    def suggestions(seed: int) -> list[dict[str, object]]:
        study = optuna.create_study(sampler=make_sampler(name, seed=seed), direction="maximize")
        found = []
        for number in range(14):
            trial = study.ask()
            family.space(trial, 50)
            study.tell(trial, number / 14)
            found.append(trial.params)
        return found

    assert suggestions(1) == suggestions(1)
    assert suggestions(1) != suggestions(2)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="'best' is not one of tpe"):
        make_sampler("best", seed=0)
