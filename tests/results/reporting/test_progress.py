from __future__ import annotations

from pathlib import Path

import pytest

from results.reporting.progress import learning_curves
from results.reporting.run_data import RunData
from tests.support.runs import write_scores


@pytest.mark.parametrize("rungs", [[20, 60], []])
def test_the_rungs_of_the_scheduler_are_drawn(tmp_path: Path, rungs: list[int]) -> None:
    run = write_scores(tmp_path, "a", [0.5, 0.6], rungs=rungs, max_epochs=81)
    shapes = learning_curves(RunData.read(run)).layout["shapes"]
    assert [shape["x0"] for shape in shapes] == rungs
