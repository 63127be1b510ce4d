"""Options of a search: grid, portfolio, HyperBand, warm start, early end and loggers."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from data.errors import RunError, SettingsError
from search import SearchSettings, extend_search, run_search
from search.plan import make_plan, starting_points
from search.storage.run_folder import RunFolder
from search.storage.study import open_study
from tests.support.rows import make_rows, write_cache
from tests.support.softmax import FAMILY, Softmax

SMALL = {"scaler": "standard", "inputs": 16, "batch_size": 64, "decay": False, "noise": 0.0, "epochs": 3}


@pytest.fixture
def run_with(ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path) -> Any:
    def maker(**options: Any) -> RunFolder:
        common = {"family": "softmax", "cache": str(small_cache), "runs": str(tmp_path), "folds": 2}
        # Each concurrent trial costs the start of a process.
        common["max_concurrent"] = 1
        return run_search(SearchSettings.checked(**{**common, "trials": 4, "max_epochs": 3, **options}))

    return maker


@pytest.mark.slow
def test_a_grid_is_searched_completely_and_cannot_be_extended(run_with: Any, tmp_path: Path) -> None:
    run = run_with(searcher="grid", scheduler="none", name="grid", trials=30, set=SMALL)
    trials = run.trials()
    assert (len(trials), run.info().trials, run.info().reason) == (4, 4, "all trials")
    rates = trials["config.learning_rate"].tolist()
    assert rates[0] == FAMILY.BASELINE["learning_rate"]
    assert sorted(rates[1:]) == pytest.approx([1e-4, (1e-4 * 0.3) ** 0.5, 0.3])
    assert trials["config.inputs"].tolist() == [57, 16, 16, 16]
    assert run.info().portfolio == []
    early = run_with(searcher="grid", scheduler="none", name="early", trials=30, set=SMALL, target=0.05)
    assert (early.info().reason, len(early.trials()) < 4) == ("target", True)
    extended = extend_search("early", trials=100, runs=str(tmp_path))
    assert (len(extended.trials()), extended.info().trials, extended.info().reason) == (4, 4, "all trials")
    assert sorted(extended.trials()["config.learning_rate"]) == sorted(rates)
    with pytest.raises(RunError, match="--extend grid: the run tried every point of its grid"):
        extend_search("grid", trials=1, runs=str(tmp_path))


@pytest.mark.slow
def test_a_deterministic_search_trains_and_is_recorded(run_with: Any) -> None:
    run = run_with(family="features_mlp", name="exact", trials=2, scheduler="none", deterministic=True)
    assert run.info().settings["deterministic"]
    assert run.trials()["status"].tolist() == ["COMPLETE", "COMPLETE"]


def test_the_portfolio_follows_the_baseline(run_with: Any) -> None:
    run = run_with(name="portfolio", trials=3, scheduler="none", set={"decay": False, "inputs": 20})
    trials, points = run.trials(), run.info().portfolio
    assert len(points) >= 2
    assert trials["config.inputs"].tolist() == [57, 20, 20]
    for number, point in enumerate(points[:2], start=1):
        assert {"decay", "inputs"}.isdisjoint(point)
        assert {name: trials[f"config.{name}"].iloc[number] for name in point} == point
    settings = SearchSettings.checked(**{**run.info().settings, "name": "plain", "portfolio": False})
    assert starting_points(make_plan(settings).info) == [run.info().baseline]


@pytest.mark.slow
def test_hyperband_stops_trials_and_its_run_warm_starts_another(run_with: Any, tmp_path: Path) -> None:
    earlier = run_with(scheduler="hyperband", max_epochs=9, trials=10, name="earlier", searcher="random")
    info, trials = earlier.info(), earlier.trials()
    assert info.reason == "all trials"
    assert {"COMPLETE", "PRUNED"} == set(trials["status"])
    # Other data with the same track names.
    other_data = write_cache(tmp_path / "other-data", make_rows(seed=1))
    fixed = {"inputs": 20, "epochs": 3}
    run = run_with(warm_start="earlier", trials=3, name="later", set=fixed, cache=str(other_data))
    start = run.info().warm_start
    assert start is not None
    # The BASELINE is trial 0 in any case.
    best = trials["val_accuracy"].iloc[1:].max()
    first = trials.set_index("trial_id").loc[start["trials"][0]]
    assert first["val_accuracy"] == best
    assert len(start["configurations"]) <= 5
    assert run.info().portfolio == []
    second = run.trials().iloc[1]
    for name, value in start["configurations"][0].items():
        assert second[f"config.{name}"] == value, name
    assert (second["config.inputs"], second["config.epochs"]) == (20, 3)
    # Both runs have the same test set.
    assert start["test_tracks_seen"] == 0
    other = run_with(warm_start="earlier", trials=2, name="other", seed=1, max_epochs=1).info()
    assert other.warm_start is not None
    assert 0 < other.warm_start["test_tracks_seen"] <= other.n_test
    with pytest.raises(RunError, match="no run 'nothing'"):
        run_with(warm_start="nothing")
    # A run warm-started from a warm-started run inherits the tracks of both.
    settings = SearchSettings.checked(**{**other.settings, "warm_start": "other", "name": "heir"})
    heir = make_plan(settings).info
    assert heir.warm_start is not None
    assert heir.warm_start["test_tracks_seen"] == other.warm_start["test_tracks_seen"]


@pytest.mark.slow
def test_a_target_stops_the_search_and_no_longer_applies_when_it_is_extended(
    run_with: Any, tmp_path: Path
) -> None:
    run = run_with(target=0.05, trials=60, name="enough", set=SMALL, max_concurrent=2)
    assert (run.info().status, run.info().reason) == ("finished", "target")
    trials = run.trials()
    ended = len(trials)
    assert ended < 60
    # A trial that was still running also keeps the score that stopped the search.
    assert trials["val_accuracy"].max() >= 0.05
    for bad in ({"max_concurrent": 0}, {"time_budget": 0.0}):
        with pytest.raises(SettingsError, match=r"--(max-concurrent|time-budget) 0"):
            extend_search("enough", trials=2, runs=str(tmp_path), **bad)
    before = run.info()
    assert before.status == "finished"
    moved = tmp_path / "moved"
    shutil.copytree(before.cache.uri, moved)
    extended = extend_search("enough", trials=2, runs=str(tmp_path), cache=str(moved), cpus_per_trial=0.5)
    assert extended.info().cache.uri == str(moved)
    # The recorded settings of the run have not changed.
    assert extended.info().settings["cpus_per_trial"] == 1
    assert extended.info().seconds > before.seconds
    assert (len(extended.trials()), extended.info().reason) == (ended + 2, "all trials")
    # The time budget applies to this session only.
    extended.write_info(extended.info().model_copy(update={"seconds": 5000.0}))
    started = time.monotonic()
    last = extend_search("enough", trials=5000, runs=str(tmp_path), cache=str(moved), time_budget=2.0)
    assert last.info().reason == "time budget"
    assert ended + 2 < len(last.trials()) < 5000
    assert 5002 <= last.info().seconds < 5000 + time.monotonic() - started


def test_stagnation_stops_the_search(run_with: Any) -> None:
    run = run_with(stagnation=3, trials=60, scheduler="none", set=SMALL | {"learning_rate": 1e-4})
    assert run.info().reason == "stagnation"
    values = [trial.value for trial in open_study(run).trials if trial.state.name == "COMPLETE"]
    assert len(values) < 60
    assert len(values) - 1 - values.index(max(values)) >= 3


@pytest.mark.slow
def test_tensorboard_mlflow_and_wandb_receive_the_trials(
    run_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from tensorboardX.proto.event_pb2 import Event

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "mlflow").as_uri()
    run = run_with(name="logged", trials=2, scheduler="none", tensorboard=True, mlflow=store, wandb="genres")
    assert run.trials()["status"].tolist() == ["COMPLETE"] * 2
    state = run.folder.local / "ray"
    events = sorted(state.glob("*/events.out.tfevents.*"))
    assert len(events) == 2
    # A record contains a length (8 bytes), its checksum (4), the event and its checksum (4).
    content, names, offset = events[0].read_bytes(), set(), 0
    while offset < len(content):
        size = int.from_bytes(content[offset : offset + 8], "little")
        event = Event.FromString(content[offset + 12 : offset + 12 + size])
        names |= {value.tag for value in event.summary.value}
        offset += 16 + size
    assert "ray/tune/val_accuracy" in names
    client = MlflowClient(store)
    (experiment,) = client.search_experiments(filter_string="name = 'logged'")
    logged_trials = client.search_runs([experiment.experiment_id])
    assert sorted(trial.data.metrics["val_accuracy"] for trial in logged_trials) == pytest.approx(
        sorted(run.trials()["val_accuracy"])
    )
    assert len(list(state.rglob("offline-run-*/run-*.wandb"))) == 2
