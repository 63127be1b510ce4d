from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.cache.cache import Cache
from data.dataset.task import refit_task
from data.errors import CacheError
from results.evaluation.trials import named_trial
from results.exporting.refit import refit
from tests.support.runs import FAMILY


def test_it_trains_on_all_but_the_test_tracks_until_the_best_epoch(made_runs: Path) -> None:
    trial = named_trial("first:first_00002", str(made_runs))
    trained = refit(trial)
    assert trained.n_tracks == 28
    assert trained.locked is not None
    assert len(trained.locked.track_id) == 8

    rows = Cache.open(trial.info.cache.uri).features
    learner = FAMILY.learner(trial.config, refit_task(rows, trial.run.split()), seed=trial.info.seed)
    for epoch in range(trial.best_epoch):
        learner.run_epoch(epoch)
    for weights, expected in zip(
        trained.fitted.model.get_weights(), learner.fitted().model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_the_weights_are_averaged_over_the_window_of_the_score(made_runs: Path) -> None:
    single = named_trial("first:first_00002", str(made_runs))
    assert single.score_epochs == 1
    info = single.info.model_copy(update={"score_window": 5})
    trial = dataclasses.replace(single, info=info, config={**single.config, "epochs": 12})
    assert (trial.best_epoch, trial.score_epochs) == (2, 2)
    rows = Cache.open(trial.info.cache.uri).features
    learner = FAMILY.learner(trial.config, refit_task(rows, trial.run.split()), seed=trial.info.seed)
    by_epoch = []
    for epoch in range(2):
        learner.run_epoch(epoch)
        by_epoch.append(learner.fitted().model.get_weights())
    for weights, *expected in zip(refit(trial).fitted.model.get_weights(), *by_epoch, strict=True):
        np.testing.assert_allclose(weights, np.mean(expected, axis=0), atol=1e-6)


def test_without_a_held_out_test_set_nothing_is_evaluated(made_runs: Path) -> None:
    trained = refit(named_trial("untested", str(made_runs)))
    assert trained.n_tracks == 36
    assert trained.locked is None


def test_other_data_is_refused(made_runs: Path, other_cache_dir: Path) -> None:
    with pytest.raises(CacheError, match="holds other data than run 'first' used"):
        refit(named_trial("first", str(made_runs)), cache=str(other_cache_dir))


def test_the_location_of_a_moved_cache_can_be_given(runs: Path, cache_dir: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(cache_dir, tmp_path / "moved")
    record = runs / "first" / "run.json"
    content = json.loads(record.read_text())
    content["cache"]["uri"] = str(tmp_path / "gone")
    record.write_text(json.dumps(content))
    trial = named_trial("first:first_00002", str(runs))
    with pytest.raises(CacheError, match="no cache here"):
        refit(trial)
    assert refit(trial, cache=str(moved)).n_tracks == 28
