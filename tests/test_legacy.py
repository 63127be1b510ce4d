"""Caches, runs and exports of version 0.1.0 are still read."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import data.inspect
import results
import results.export
import results.leaderboard
import results.predict
import search.run
from data.cache import Cache
from search.storage.run_folder import RunFolder
from tests.support.error_lines import error_line
from tests.support.paths import ROOT

ACCURACIES = {
    ("conv", "67a7582f"): 0.5,
    ("conv", "a28bfc5f"): 0.25,
    ("dense", "6c763057"): 1.0,
    ("dense", "4d09cec6"): 1.0,
    ("dense", "6d20eb54"): 1.0,
    ("dense", "ddd6fc18"): 0.8888888888888888,
}
"""Validation accuracy of each trial, as version 0.1.0 ranked them."""
PROBABILITIES = {
    "export-dense": {"blues": 0.00131, "disco": 0.99767, "metal": 0.00102},
    "export-vote": {"blues": 0.00114, "disco": 0.99577, "metal": 0.00309},
}
"""What version 0.1.0 answered for `song`."""


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old files in the working folder; the runs name their cache by the path ``old/cache``."""
    shutil.copytree(ROOT / "tests/support/legacy", tmp_path / "old")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "old"


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Three seconds of a noisy tone that swells and fades three times a second."""
    time = np.arange(22050 * 3) / 22050
    y = 0.4 * np.sin(2 * np.pi * 500 * time) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    y += 0.09 * np.random.default_rng(7).normal(size=time.size)
    path = tmp_path / "song.wav"
    soundfile.write(path, (y / np.abs(y).max() * 0.8).astype(np.float32), 22050)
    return path


def answer(command: click.Command, *arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_cache_is_read() -> None:
    cache = Cache.open("old/cache")
    assert cache.info.format == 1
    assert cache.features.X.shape == (24, 57)
    assert cache.melspec.X.shape == (72, 16, 43)
    assert cache.image.X.shape == (24, 16, 16, 3)
    groups = cache.features.tracks().set_index("track_id")["group"]
    assert groups["blues/blues.00000.wav"] == groups["blues/blues.00001.wav"] == "artist-blues"
    assert sorted(set(cache.features.label)) == ["blues", "disco", "metal"]


def test_the_cache_is_inspected() -> None:
    content = json.loads(answer(data.inspect.main, "--cache", "old/cache", "--json"))
    assert content["genres"] == {"blues": 8, "disco": 8, "metal": 8}


def test_the_runs_keep_their_rungs_in_epochs() -> None:
    for name in ("conv", "dense"):
        info = RunFolder.at("old/runs", name).info()
        assert info.rung_unit == "epochs"
        assert info.settings["grace_period"] is None
        # Runs of version 0.1.0 recorded only the rungs of ASHA, in epochs.
        recorded = json.loads(Path(f"old/runs/{name}/run.json").read_text())["rungs"]
        assert info.rungs == recorded


def test_the_runs_are_ranked() -> None:
    table = answer(results.leaderboard.main, "--runs", "old/runs", "--format", "csv")
    entries = list(csv.DictReader(io.StringIO(table)))
    accuracies = {(entry["run"], entry["trial_id"]): float(entry["val_accuracy"]) for entry in entries}
    assert accuracies == pytest.approx(ACCURACIES)
    baselines = {entry["trial_id"] for entry in entries if entry["baseline"] == "True"}
    assert baselines == {"a28bfc5f", "6d20eb54"}


@pytest.mark.parametrize("export", PROBABILITIES)
def test_the_exports_answer_as_before(export: str, song: Path) -> None:
    prediction = json.loads(answer(results.predict.main, f"old/{export}", str(song), "--json"))
    assert prediction["genre"] == "disco"
    assert prediction["probabilities"] == pytest.approx(PROBABILITIES[export], abs=1e-3)


@pytest.mark.parametrize("run", ["dense", "conv"])
def test_a_run_is_exported(run: str, song: Path) -> None:
    answer(results.export.main, run, "--runs", "old/runs", "--out", "new")
    prediction = results.load("new").predict(song)
    assert set(prediction.probabilities) == {"blues", "disco", "metal"}


def test_a_finished_run_is_not_resumed() -> None:
    result = CliRunner().invoke(search.run.main, ["--resume", "dense", "--runs", "old/runs"])
    assert result.exit_code == 2
    assert "the run is finished" in error_line(result.stderr)
    assert "--extend" in result.stderr


@pytest.mark.usefixtures("ray_cluster")
def test_a_finished_run_is_extended() -> None:
    before = RunFolder.at("old/runs", "dense").trials()
    extended = search.extend_search("dense", trials=1, runs="old/runs")
    assert extended.info().status == "finished"
    trials = RunFolder.at("old/runs", "dense").trials()
    assert len(trials) == 5
    old_columns = ["trial_id", "status", "epochs", "val_accuracy"]
    assert trials[old_columns].iloc[:4].to_dict("list") == before[old_columns].to_dict("list")
    assert trials["val_accuracy"].notna().all()
