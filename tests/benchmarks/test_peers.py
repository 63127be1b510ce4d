"""The comparison with other tools, without running them: times to marks, logs, folds and time limits."""

from __future__ import annotations

import json
import math
import time
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from PIL import Image

from benchmarks.peers import chart, space
from benchmarks.peers.chart import draw, draw_times, spread
from benchmarks.peers.job import FOLDS, MAX_EPOCHS, STARTED, TEST_FRACTION, Job, make_job
from benchmarks.peers.marks import (
    MARKS,
    at_times,
    best_so_far,
    count_trials_epochs,
    median,
    read_scores,
    time_to,
)
from benchmarks.peers.names import MARK_MEANINGS, PEERS
from benchmarks.processes import ROOT
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task

pytestmark = pytest.mark.slow


def score(seconds: float, accuracy: float, trial: str = "0", epoch: int = 1) -> dict[str, object]:
    return {"seconds": seconds, "accuracy": accuracy, "trial": trial, "epoch": epoch}


def test_time_to_a_mark_is_the_first_score_that_reaches_it() -> None:
    curve = best_so_far([score(3, 0.70), score(5, 0.76), score(6, 0.5), score(9, 0.8)], budget=8)
    assert curve == [(3, 0.70), (5, 0.76)]
    assert time_to(curve, 0.73) == 5
    assert time_to(curve, 0.76) == 5
    assert time_to(curve, 0.79) == math.inf


def test_the_charts_name_peers_and_marks(tmp_path: Path) -> None:
    runs = [
        {"peer": peer, "budget": 60.0, "curve": [(5.0, 0.7), (20.0 + shift, 0.77)]}
        for shift, peer in enumerate(PEERS)
    ]
    draw(runs, tmp_path / "curves.png", "a note", clock="wall")
    draw_times(Path(chart.__file__).parent / "medians.csv", tmp_path / "times.png", budget=120)
    for name in ("curves.png", "times.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 900
            assert len(picture.convert("RGB").getcolors(picture.width * picture.height)) > 50
    assert set(MARKS) == set(MARK_MEANINGS)


def test_labels_are_spread_in_their_order() -> None:
    heights = spread([76.0, 76.1, 71.0, 76.05], 1.0)
    assert heights[2] == pytest.approx(71.0)
    assert heights[0] < heights[3] < heights[1]
    assert min(abs(first - second) for first, second in combinations(heights, 2)) >= 0.99


def test_median_counts_runs_that_never_reach_the_mark() -> None:
    assert median([5, math.inf, 7]) == 7
    assert median([5, math.inf, math.inf]) == math.inf


def test_log_is_sorted_and_an_incomplete_line_is_skipped() -> None:
    lines = [json.dumps(score(4, 0.6)), json.dumps(score(2, 0.5)), '{"seconds": 5, "acc']
    assert [entry["seconds"] for entry in read_scores(lines)] == [2, 4]


def test_trials_and_epochs_are_counted() -> None:
    scored_each_epoch = [score(epoch, 0.5, "a", epoch) for epoch in (1, 2, 3)]
    resumed = [score(4, 0.5, "b", 4), score(5, 0.5, "b", 5)]
    scored_at_the_end = [score(6, 0.5, "c", 50)]
    assert count_trials_epochs(scored_each_epoch + resumed + scored_at_the_end) == (3, 3 + 2 + 50)
    assert count_trials_epochs([]) == (0, 0)


def test_curve_is_read_at_given_times() -> None:
    values = at_times([(2.0, 0.5), (4.0, 0.6)], np.array([1.0, 2.0, 3.0, 5.0]))
    assert np.isnan(values[0])
    assert values[1:].tolist() == [0.5, 0.5, 0.6]


def test_peers_get_the_folds_of_the_harness(tmp_path: Path, small_cache: Path) -> None:
    job = make_job(tmp_path / "job", str(small_cache), seed=3)
    arrays = job.arrays()
    rows = Cache.open(str(small_cache)).rows("features")
    split = make_split(rows.tracks(), folds=FOLDS, test_fraction=TEST_FRACTION, seed=3)
    task = search_task(rows, split)
    assert len(arrays["y"]) == split.searchable.sum() < len(split.track_id)
    for number, fold in enumerate(task.folds):
        assert np.flatnonzero(arrays["fold"] == number).tolist() == fold.valid.tolist()
        # Scalers are fitted on training rows only: unlike held-out rows, these have mean 0 and variance 1.
        train = arrays["standard"][number][fold.train]
        np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
        assert abs(arrays["standard"][number][fold.valid].mean(axis=0)).max() > 1e-3


def test_report_appends_a_line_with_the_seconds_since_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STARTED, str(time.time() - 100))
    job = Job(tmp_path, seed=0)
    job.report(7, 2, 0.5)
    job.report(8, 1, 0.25)
    first, second = read_scores(job.log.read_text().splitlines())
    assert 100 <= first["seconds"] < 160
    assert (first["trial"], first["epoch"], first["accuracy"]) == ("7", 2, 0.5)
    assert second["trial"] == "8"


def test_space_is_that_of_the_harness() -> None:
    import spaces

    family = spaces.get("features_mlp")
    excluded = {"mixup", "averaging"}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    peer_space: dict[str, object] = {}
    harness_space: dict[str, object] = {}
    for _ in range(40):
        harness_trial, peer_trial = study.ask(), study.ask()
        family.space(harness_trial, MAX_EPOCHS)
        space.suggest(peer_trial)
        harness_space |= harness_trial.distributions
        peer_space |= peer_trial.distributions
    shared_space = {name: values for name, values in harness_space.items() if name not in excluded}
    assert shared_space == peer_space
    baseline = {name: value for name, value in family.BASELINE.items() if name not in excluded}
    assert baseline == space.BASELINE


def test_values_survive_a_command_line() -> None:
    for parameter in space.SPACE:
        low = int(parameter.low) if parameter.whole else parameter.low
        for value in parameter.choices or (low,):
            assert parameter.parse(str(value)) == value


def test_grid_has_54_configurations() -> None:
    from benchmarks.peers.with_grid import configurations

    assert len(configurations()) == 54


def test_time_limit_ends_a_peer_and_all_its_processes(
    tmp_path: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psutil = pytest.importorskip("psutil")
    from benchmarks.peers import measure

    # This peer reports once, starts a process in another session, and never ends.
    (tmp_path / "endless.py").write_text(
        "import os, subprocess, sys, time\n"
        "from benchmarks.peers.job import job_from_arguments\n"
        "job = job_from_arguments()\n"
        "job.report('a', 1, 0.75)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "(job.folder / 'child').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setitem(measure._ENVIRONMENT, "PYTHONPATH", f"{ROOT}:{tmp_path}")
    monkeypatch.setattr(measure, "PACKAGE", "")
    monkeypatch.setitem(measure.MODULES, "endless", "endless")
    job = make_job(tmp_path / "job", str(small_cache), seed=0)
    child_file = job.folder / "child"

    def now() -> float:
        # Let the budget run out as soon as the peer has started its process.
        child_started = child_file.exists() and child_file.read_text()
        return time.time() + (1000 if child_started else 0)

    monkeypatch.setattr(measure, "time", SimpleNamespace(time=now, sleep=time.sleep))
    record = measure.run_peer("endless", job, budget=240)
    assert record["best"] == 0.75
    assert record["seconds_to"]["0.73"] is not None
    assert record["seconds_to"]["0.76"] is None
    assert record["ended_by_itself"] is None
    assert record["peak_mib"] > 0
    assert not psutil.pid_exists(int(child_file.read_text()))
