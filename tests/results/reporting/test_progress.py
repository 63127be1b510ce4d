from __future__ import annotations

from pathlib import Path

import pytest

from results.reporting.progress import learning_curves
from results.reporting.run_data import RunData
from tests.support.runs import write_scores


@pytest.mark.parametrize("rungs", [[20, 60], []])
def test_the_rungs_of_the_scheduler_are_drawn(tmp_path: Path, rungs: list[int]) -> None:
    run = write_scores(tmp_path, "a", [0.5, 0.6], rungs=rungs, rung_unit="epochs", max_epochs=81)
    shapes = learning_curves(RunData.read(run)).layout["shapes"]
    assert [shape["x0"] for shape in shapes] == rungs


def test_rungs_that_are_shares_are_described_but_not_drawn(tmp_path: Path) -> None:
    run = write_scores(tmp_path, "a", [0.5, 0.6], rungs=[0.25], rung_min_epochs=10)
    trials = run.trials()
    trials[["status", "epochs"]] = [["COMPLETE", 30], ["PRUNED", 10]]
    trials["config.epochs"] = 30.0
    run.write_tables(trials, run.history())
    figure = learning_curves(RunData.read(run))
    assert figure.layout["shapes"] == []
    assert "Stopped early: 1 at 25 % of their epochs, but not before epoch 10." in figure.caption
