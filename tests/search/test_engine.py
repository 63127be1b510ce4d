from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from ray import tune

import spaces
from data.errors import RunError
from search import SearchSettings, run_search
from search.engine import resume_search
from search.journal import open_study
from spaces.training.run_folder import TRIAL_COLUMNS, RunFolder

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
        grace_period=1,
        folds=3,
        seed=7,
    )
    return run_search(settings)


@pytest.fixture(scope="module")
def study(run: RunFolder) -> optuna.Study:
    return open_study(run)


def test_the_record_says_what_was_searched_on_what(run: RunFolder, small_cache: Path) -> None:
    info = run.info()
    assert (info.status, info.family, info.seed, info.trials) == ("finished", "features_mlp", 7, TRIALS)
    assert info.cache.uri == str(small_cache)
    assert (info.n_validated, info.n_test, info.folds) == (48, 12, 3)
    assert info.baseline == spaces.get("features_mlp").baseline(9)
    assert {"sgd_learning_rate", "weight_decay", "units_3"} <= set(info.space)
    assert info.ended is not None
    split = run.split()
    assert split.test.sum() == 12


def test_trials_are_in_the_order_of_suggestion_and_the_first_is_the_baseline(run: RunFolder) -> None:
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


def test_states_are_what_tune_saw(run: RunFolder, study: optuna.Study) -> None:
    results = tune.ExperimentAnalysis(str(run.folder.local / "ray")).results
    outcomes = {trial_id: result["outcome"] for trial_id, result in results.items()}
    told = {trial.user_attrs["trial_id"]: trial.state for trial in study.trials}
    expected = {"COMPLETE": TrialState.COMPLETE, "RUNNING": TrialState.PRUNED, "FAIL": TrialState.FAIL}
    assert told == {trial_id: expected[outcome] for trial_id, outcome in outcomes.items()}
    assert TrialState.PRUNED in told.values()


def test_the_study_holds_every_epoch(run: RunFolder, study: optuna.Study) -> None:
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


def test_predictions_give_the_recorded_accuracy(run: RunFolder) -> None:
    genres = np.array(run.info().classes)
    for trial_id, accuracy in run.trials().set_index("trial_id")["val_accuracy"].items():
        saved = run.predictions(str(trial_id))
        chosen = genres[saved.filter(like="p.").to_numpy().argmax(axis=1)]
        assert np.mean(chosen == saved["label"]) == pytest.approx(accuracy)
        assert len(saved) == run.info().n_validated


def test_a_finished_run_is_neither_resumed_nor_overwritten(run: RunFolder) -> None:
    runs = str(run.folder.local.parent)
    with pytest.raises(RunError, match="--resume small: the run is finished"):
        resume_search("small", runs=runs)
    with pytest.raises(RunError, match=r"--name small: .* is there already"):
        run_search(SearchSettings(**{**run.info().settings, "runs": runs}))


def test_two_runs_of_one_seed_are_equal(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    tables: list[pd.DataFrame] = []
    for name in ("first", "second"):
        settings = SearchSettings.checked(
            family="features_mlp",
            cache=str(small_cache),
            runs=str(tmp_path),
            name=name,
            trials=4,
            max_epochs=4,
            folds=2,
            seed=3,
            max_concurrent=1,
        )
        tables.append(run_search(settings).trials().drop(columns=["trial_id", "seconds"]))
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("options", [{"scheduler": "median"}, {"scheduler": "none", "searcher": "random"}])
def test_other_schedulers_run(
    ray_cluster: None, small_cache: Path, tmp_path: Path, options: dict[str, str]
) -> None:
    settings = SearchSettings.checked(
        family="features_mlp",
        cache=str(small_cache),
        runs=str(tmp_path),
        trials=3,
        max_epochs=3,
        folds=1,
        test_fraction=0.0,
        **options,
    )
    run = run_search(settings)
    info, trials = run.info(), run.trials()
    assert (info.status, info.n_test, info.folds) == ("finished", 0, 1)
    assert len(trials) == 3
    if options["scheduler"] == "none":
        assert (trials["status"] == "COMPLETE").all()


def test_time_budget_ends_the_search(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
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
