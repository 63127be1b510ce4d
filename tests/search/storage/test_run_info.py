from __future__ import annotations

from typing import Any

import pytest

from search import SearchSettings
from search.storage.run_info import FORMAT, RunInfo
from search.storage.rungs import Rungs
from tests.support.runs import make_info


@pytest.mark.parametrize(
    ("max_epochs", "options", "epochs"),
    [
        (100, {}, (25, 75)),
        (100, {"brackets": 2}, (25, 75)),
        (100, {"grace_period": 11, "brackets": 3}, (11, 33, 99)),
        (81, {"grace_period": 1, "brackets": 5}, (1, 3, 9, 27)),
        (40, {"grace_period": 40}, ()),
        (100, {"grace_period": 4, "scheduler": "median"}, tuple(range(4, 100, 9))),
    ],
)
def test_a_run_of_format_1_can_be_continued_with_its_rungs(
    max_epochs: int, options: dict[str, Any], epochs: tuple[int, ...]
) -> None:
    settings = SearchSettings(family="features_mlp", max_epochs=max_epochs, **options).model_dump()
    content = make_info("old", settings=settings, max_epochs=max_epochs).model_dump()
    for name in ("rung_unit", "rung_min_epochs"):
        del content[name]
    info = RunInfo.model_validate({**content, "format": 1})
    assert (info.format, info.stopping) == (FORMAT, Rungs(epochs, "epochs"))
    assert info.score_window == 1
    # As a search that resumes the run checks them.
    continued = SearchSettings.checked(**info.settings)
    assert (continued.brackets, continued.metric) == (options.get("brackets", 1), "accuracy")
    # The record is written in the current format and read again.
    assert RunInfo.model_validate(info.model_dump()) == info


def test_a_run_of_format_2_keeps_the_scores_of_single_epochs() -> None:
    content = make_info("old", rungs=[0.25, 0.75]).model_dump()
    del content["score_window"]
    info = RunInfo.model_validate({**content, "format": 2})
    assert (info.format, info.score_window, info.stopping) == (FORMAT, 1, Rungs((0.25, 0.75)))
    assert RunInfo.model_validate(info.model_dump()) == info
