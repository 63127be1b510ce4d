"""A search by another metric than accuracy, in numpy: every layer above the trial uses that metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from data.dataset.scores import score
from data.errors import SettingsError
from results.evaluation.trials import find_trial
from search import SearchSettings, driver, run_search
from search.sampling.search_space import make_space
from search.sampling.warm_start import warm_start
from search.storage.run_folder import RunFolder
from search.storage.study import open_study
from tests.support.softmax import Softmax


@pytest.fixture(scope="module")
def run(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    settings = SearchSettings.checked(
        family="softmax",
        cache=str(small_cache),
        runs=str(tmp_path_factory.mktemp("runs")),
        name="by-loss",
        trials=7,
        max_epochs=30,
        metric="log_loss",
        grace_period=0.1,
        seed=3,
    )
    return run_search(settings)


def test_the_best_epoch_and_the_best_trial_have_the_lowest_loss(run: RunFolder) -> None:
    trials, history = run.trials(), run.history()
    for row in trials.itertuples():
        curve = history[history["trial_id"] == row.trial_id]
        assert row.val_loss == curve["val_loss"].min()
        assert row.best_epoch == curve["epoch"].iloc[curve["val_loss"].argmin()]
    assert find_trial(run).trial_id == trials["trial_id"].iloc[trials["val_loss"].argmin()]
    assert set(trials["precision"]) == {"float32"}


def test_the_study_maximises_the_negative_loss(run: RunFolder) -> None:
    history = run.history()
    for trial in open_study(run).trials:
        curve = history[history["trial_id"] == trial.user_attrs["trial_id"]]
        assert list(trial.intermediate_values.values()) == [-loss for loss in curve["val_loss"]]
        if trial.state == TrialState.COMPLETE:
            assert trial.value == -curve["val_loss"].min()


def test_trials_stop_at_rungs_only_and_the_rungs_are_rebuilt(run: RunFolder) -> None:
    info, study = run.info(), open_study(run)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        horizon = trial.params["epochs"]
        assert len(trial.intermediate_values) in info.stopping.of(horizon)
    scheduler = driver._scheduler(info, SearchSettings.checked(**info.settings), study.trials)
    first = dict(scheduler._brackets[0]._rungs)[info.rungs[0]]
    assert set(first) == {str(trial.number) for trial in study.trials}


def test_the_stored_predictions_have_the_stored_scores(run: RunFolder) -> None:
    info = run.info()
    for row in run.trials().itertuples():
        saved = run.predictions(row.trial_id, int(row.best_epoch))
        probabilities = saved.filter(like="p.").to_numpy()
        truth = np.array([info.classes.index(label) for label in saved["label"]])
        for column, value in score(probabilities, truth).columns().items():
            assert getattr(row, column) == pytest.approx(value)
        epochs = run.epoch_predictions(row.trial_id, len(saved), int(row.epochs)).array()
        assert epochs.shape == (row.epochs, info.n_validated)
        assert (epochs[int(row.best_epoch) - 1] == probabilities.argmax(axis=1)).all()


def test_a_warm_start_takes_the_trials_with_the_lowest_loss(run: RunFolder, softmax: Softmax) -> None:
    start = warm_start(
        "by-loss", runs=str(run.folder.local.parent), space=make_space(softmax, 30, fixed={}, file=None)
    )
    ranked = run.trials().sort_values("val_loss")["trial_id"].tolist()
    assert [trial for trial in ranked if trial in start["trials"]] == start["trials"]
    assert start["trials"][0] in ranked[:2]
    assert start["n_trials"] == 7


def test_a_metric_over_genres_needs_a_validated_track_of_each(small_cache: Path, tmp_path: Path) -> None:
    from data.cache.cache import Cache
    from search.plan import make_plan

    tracks = Cache.open(str(small_cache)).features.tracks()
    sides = ["valid" if label != "metal" else "train" for label in tracks["label"]]
    sides[::3] = ["train"] * len(sides[::3])
    partition = tmp_path / "partition.csv"
    tracks.assign(split=sides)[["track_id", "split"]].to_csv(partition, index=False)
    options = {"family": "features_mlp", "cache": str(small_cache), "runs": str(tmp_path / "runs")}
    settings = SearchSettings.checked(**options, splits=str(partition), metric="macro_f1")
    with pytest.raises(SettingsError, match="--metric macro_f1: genre 'metal' has no validated track"):
        make_plan(settings)
