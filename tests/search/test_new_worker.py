"""Trials that continue in a new worker process, in numpy."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray import tune

from search import SearchSettings, driver, run_search
from tests.support.softmax import Softmax


@pytest.mark.slow
def test_a_worker_that_has_grown_is_replaced(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every worker counts as grown after its first trial.
    monkeypatch.setattr(driver, "MAX_WORKER_GROWTH", -1)
    settings = SearchSettings.checked(
        family="softmax",
        cache=str(small_cache),
        runs=str(tmp_path),
        name="grown",
        trials=3,
        max_epochs=4,
        max_concurrent=1,
        scheduler="none",
        portfolio=False,
    )
    run = run_search(settings)
    assert run.trials()["status"].tolist() == ["COMPLETE"] * 3
    assert run.trials()["epochs"].tolist() == [4] * 3
    results = tune.ExperimentAnalysis(str(run.folder.local / "ray")).results.values()
    assert len({result["pid"] for result in results}) == 3
