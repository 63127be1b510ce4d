"""Searches from Python: record, tables, study and reproducibility."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from ray import tune

import spaces
from data.errors import RunError
from search import SearchSettings, api, driver, run_search
from search.api import resume_search
from search.storage.columns import TRIAL_COLUMNS
from search.storage.run_folder import RunFolder
from search.storage.study import open_study

TRIALS = 7


@pytest.fixture(scope="module")
def run(ray_cluster: None, small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    settings = SearchSettings.checked(
        family="features_mlp",
        cache=str(small_cache),
        runs=str(tmp_path_factory.mktemp("runs")),
        name="small",
        trials=TRIALS,
        max_epochs=9,
        grace_period=0.1,
        folds=3,
        seed=7,
    )
    return run_search(settings)


@pytest.fixture(scope="module")
def study(run: RunFolder) -> optuna.Study:
    return open_study(run)


def test_run_info_records_settings_data_and_space(run: RunFolder, small_cache: Path) -> None:
    info = run.info()
    assert (info.status, info.family, info.seed, info.trials) == ("finished", "features_mlp", 7, TRIALS)
    assert info.cache.uri == str(small_cache)
    assert (info.n_validated, info.n_test, info.folds) == (48, 12, 3)
    assert info.baseline == spaces.get("features_mlp").baseline(9)
    assert {"sgd_learning_rate", "weight_decay", "units_3"} <= set(info.space)
    assert info.ended is not None
    split = run.split()
    assert split.test.sum() == 12


def test_trials_are_in_suggestion_order_with_the_baseline_first(run: RunFolder) -> None:
    trials = run.trials()
    assert len(trials) == TRIALS
    assert list(trials.columns[: len(TRIAL_COLUMNS)]) == list(TRIAL_COLUMNS)
    first = trials.iloc[0]
    for name, value in run.info().baseline.items():
        assert first[f"config.{name}"] == value, name
    assert first["status"] == "COMPLETE"
    assert first["epochs"] == 9
    assert trials["params"].min() > 0
    assert trials["seconds"].min() > 0


def test_study_states_match_the_outcomes_in_tune(run: RunFolder, study: optuna.Study) -> None:
    results = tune.ExperimentAnalysis(str(run.folder.local / "ray")).results
    outcomes = {trial_id: result["outcome"] for trial_id, result in results.items()}
    states = {trial.user_attrs["trial_id"]: trial.state for trial in study.trials}
    expected = {"COMPLETE": TrialState.COMPLETE, "RUNNING": TrialState.PRUNED, "FAIL": TrialState.FAIL}
    assert states == {trial_id: expected[outcome] for trial_id, outcome in outcomes.items()}
    assert TrialState.PRUNED in states.values()


def test_the_study_contains_every_epoch(run: RunFolder, study: optuna.Study) -> None:
    history, trials = run.history(), run.trials().set_index("trial_id")
    for trial in study.trials:
        row = trials.loc[trial.user_attrs["trial_id"]]
        curve = history[history["trial_id"] == row.name]
        assert curve["epoch"].tolist() == list(range(1, int(row["epochs"]) + 1))
        assert trial.intermediate_values == dict(zip(curve["epoch"], curve["val_accuracy"], strict=True))
        assert row["val_accuracy"] == curve["val_accuracy"].max()
        if trial.state == TrialState.COMPLETE:
            assert trial.value == row["val_accuracy"]
        assert trial.user_attrs["node"]


def test_a_resumed_search_rebuilds_its_rungs(run: RunFolder, study: optuna.Study) -> None:
    info = run.info()
    assert (info.rungs, info.rung_unit) == ([0.1, pytest.approx(0.3)], "share")
    scheduler = driver._scheduler(info, SearchSettings.checked(**info.settings), study.trials)
    for share, recorded in scheduler._brackets[0]._rungs:
        epoch = {0.1: 1, 0.3: 3}[round(share, 3)]
        reached = {str(trial.number) for trial in study.trials if epoch in trial.intermediate_values}
        assert set(recorded) == reached
        assert recorded["0"] == max(study.trials[0].intermediate_values[step + 1] for step in range(epoch))


def test_no_tensorboard_events_by_default(run: RunFolder) -> None:
    assert not list((run.folder.local / "ray").rglob("events.out.*"))


def test_predictions_give_the_recorded_accuracy(run: RunFolder) -> None:
    genres = np.array(run.info().classes)
    for trial_id, accuracy in run.trials().set_index("trial_id")["val_accuracy"].items():
        saved = run.predictions(str(trial_id))
        chosen = genres[saved.filter(like="p.").to_numpy().argmax(axis=1)]
        assert np.mean(chosen == saved["label"]) == pytest.approx(accuracy)
        assert len(saved) == run.info().n_validated


def test_a_finished_run_cannot_be_resumed_or_overwritten(run: RunFolder) -> None:
    runs = str(run.folder.local.parent)
    with pytest.raises(RunError, match="--resume small: the run is finished"):
        resume_search("small", runs=runs)
    with pytest.raises(RunError, match=r"--name small: .* exists already"):
        run_search(SearchSettings(**{**run.info().settings, "runs": runs}))


@pytest.mark.parametrize(
    ("family", "gpus", "gpus_per_trial", "expected", "message"),
    [
        ("melspec_cnn", 2.0, 0.0, 4, "2 GPUs stay unused"),
        ("melspec_cnn", 2.0, 0.5, 4, ""),
        ("melspec_cnn", 2.0, 2.0, 1, "on the first of its 2 reserved GPUs"),
        ("melspec_cnn", 0.0, 0.0, 4, ""),
        ("features_mlp", 2.0, 0.0, 4, ""),
        ("features_mlp", 2.0, 0.5, 4, "--gpus-per-trial 0.5 will not make features_mlp faster"),
    ],
)
def test_idle_gpus_are_reported(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    family: str,
    gpus: float,
    gpus_per_trial: float,
    expected: int,
    message: str,
) -> None:
    @contextlib.contextmanager
    def nodes(address: str | None) -> Iterator[list[dict[str, float]]]:
        yield [{"CPU": 4.0, "GPU": gpus} if gpus else {"CPU": 4.0}]

    monkeypatch.setattr(api, "ray_cluster", nodes)
    with api._cluster(SearchSettings.checked(family=family, gpus_per_trial=gpus_per_trial)) as concurrent:
        assert concurrent == expected
    errors = capsys.readouterr().err
    assert message in errors
    assert bool(errors) == bool(message)


def test_a_run_that_finished_meanwhile_is_not_resumed(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(run.folder.local, runs / "small")
    copied = RunFolder.at(runs, "small")
    finished = copied.info()
    copied.write_info(finished.model_copy(update={"status": "interrupted"}))
    claimed = api.claimed

    @contextlib.contextmanager
    def claimed_late(*arguments: Any, **options: Any) -> Iterator[None]:
        # Another process finishes the search before this process locks the run.
        copied.write_info(finished)
        with claimed(*arguments, **options):
            yield

    monkeypatch.setattr(api, "claimed", claimed_late)
    with pytest.raises(RunError, match="--resume small: the run is finished"):
        resume_search("small", runs=str(runs))
    assert copied.info() == finished


@pytest.mark.slow
def test_two_runs_with_the_same_seed_are_equal(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    tables: list[pd.DataFrame] = []
    for name in ("first", "second"):
        settings = SearchSettings.checked(
            family="features_mlp",
            cache=str(small_cache),
            runs=str(tmp_path),
            name=name,
            # TPE draws its first ten trials at random.
            trials=14,
            max_epochs=4,
            folds=2,
            seed=3,
            max_concurrent=1,
            grace_period=0.1,
            brackets=2,
            portfolio=False,
        )
        tables.append(run_search(settings).trials().drop(columns=["trial_id", "seconds"]))
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    "options",
    [
        {"scheduler": "median"},
        {"scheduler": "none", "searcher": "random"},
        {"scheduler": "none", "searcher": "qmc"},
        {"scheduler": "median", "searcher": "cmaes"},
    ],
)
def test_other_schedulers_and_searchers_run(
    ray_cluster: None, small_cache: Path, tmp_path: Path, options: dict[str, str]
) -> None:
    settings = SearchSettings.checked(
        family="features_mlp",
        cache=str(small_cache),
        runs=str(tmp_path),
        trials=4,
        max_epochs=3,
        folds=1,
        test_fraction=0.0,
        portfolio=False,
        **options,
    )
    run = run_search(settings)
    info, trials = run.info(), run.trials()
    assert len(info.rungs) == (10 if options["scheduler"] == "median" else 0)
    assert (info.status, info.n_test, info.folds) == ("finished", 0, 1)
    assert len(trials) == 4
    assert trials["config.input_dropout"].iloc[1:].is_unique
    if options["scheduler"] == "none":
        assert (trials["status"] == "COMPLETE").all()


@pytest.mark.slow
def test_the_time_budget_stops_the_search(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    settings = SearchSettings.checked(
        family="features_mlp",
        cache=str(small_cache),
        runs=str(tmp_path),
        trials=500,
        max_epochs=30,
        folds=2,
        time_budget=12,
    )
    run = run_search(settings)
    assert run.info().status == "finished"
    assert 0 < len(run.trials()) < 500
