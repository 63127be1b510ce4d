from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import results
from data.cache.cache import Cache
from data.errors import ExportError
from results.export import main
from search.storage.provenance import library_versions
from search.storage.run_folder import RunFolder
from tests.support.runs import AVERAGED, make_run, write_scores


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def exported_trial(folder: Path) -> tuple[str, str]:
    config = json.loads((folder / "config.json").read_text())
    return config["run"], config["trial_id"]


def test_the_best_trial_of_a_run_is_exported(runs: Path, tmp_path: Path) -> None:
    result = run("again", "--runs", str(runs), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert exported_trial(tmp_path / "out")[0] == "again"
    assert "validation accuracy (SYNTHETIC data):" in result.stdout
    assert "test accuracy (SYNTHETIC data):" in result.stdout
    assert "results.predict" in result.stdout
    card = (tmp_path / "out" / "README.md").read_text()
    assert "The validation accuracy selected this trial among 2," in card


def test_the_best_trial_of_all_runs_is_the_default(runs: Path, tmp_path: Path) -> None:
    result = run("--runs", str(runs), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "the runs use different splits" in result.stderr
    card = (tmp_path / "out" / "README.md").read_text()
    assert "The validation accuracy selected this trial among 7," in card


def test_the_best_of_different_splits_is_chosen_by_the_metric_of_the_runs(tmp_path: Path) -> None:
    for name, accuracy, loss in (("accurate", 0.8, 0.9), ("calibrated", 0.7, 0.6)):
        settings = {"searcher": "tpe", "scheduler": "asha", "metric": "log_loss"}
        written = write_scores(tmp_path, name, [accuracy], settings=settings, split_fingerprint=name)
        trials = written.trials().assign(val_loss=loss)
        written.write_tables(trials, written.history())
    result = run("--runs", str(tmp_path), "--out", str(tmp_path / "out"))
    assert "the runs use different splits; calibrated:0 has the best log loss" in result.stderr
    assert "Training calibrated:0" in result.stderr


def test_a_renamed_run_is_exported(runs: Path, tmp_path: Path) -> None:
    for name in ("again", "untested"):
        shutil.rmtree(runs / name)
    (runs / "first").rename(runs / "old")
    result = run("best", "--runs", str(runs), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert exported_trial(tmp_path / "out")[0] == "old"


def test_an_error_of_the_training_does_not_name_out(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("Reading from bucket 'music': AWS Error ACCESS_DENIED during GetObject operation")

    monkeypatch.setattr("results.exporting.writer.refit", refused)
    result = run("first", "--runs", str(runs), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "s3://music: refused (ACCESS_DENIED at GetObject)" in result.stderr
    assert "--out" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_trial_and_a_moved_cache(runs: Path, cache_dir: Path, tmp_path: Path) -> None:
    moved = str(shutil.copytree(cache_dir, tmp_path / "moved"))
    out = tmp_path / "out"
    result = run("untested", "--trial", "BASELINE", "--cache", moved, "--runs", str(runs), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert exported_trial(out) == ("untested", "untested_00000")
    # It was not selected by its score.
    assert "selected this trial" not in (out / "README.md").read_text()
    assert json.loads((out / "config.json").read_text())["versions"] == library_versions()
    assert "test accuracy" not in result.stdout


def test_of_runs_on_different_data_the_latest_or_the_named_is_exported(
    runs: Path, cache_dir: Path, other_cache_dir: Path, tmp_path: Path
) -> None:
    created = "2026-01-03T00:00:00+00:00"
    make_run(runs, Cache.open(other_cache_dir), "other", [AVERAGED], created=created)
    result = run("best", "--runs", str(runs), "--out", str(tmp_path / "latest"))
    assert result.exit_code == 0, result.output
    assert exported_trial(tmp_path / "latest")[0] == "other"
    assert "are on different data. Compared are those on the data of the latest run, " in result.stderr
    assert f"--cache selects other data: {cache_dir}" in result.stderr
    result = run("best", "--cache", str(cache_dir), "--runs", str(runs), "--out", str(tmp_path / "named"))
    assert result.exit_code == 0, result.output
    assert exported_trial(tmp_path / "named")[0] != "other"
    assert "different data" not in result.stderr


def test_runs_on_the_data_of_the_named_cache_must_exist(
    made_runs: Path, other_cache_dir: Path, tmp_path: Path
) -> None:
    where = ("--cache", str(other_cache_dir), "--runs", str(made_runs))
    result = run("best", *where, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "no scored run in" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "no run 'nobody'"),
        (("first", "--trial", "nothing"), "no trial 'nothing'"),
        (("first:first_00003",), "trial first:3 is FAIL"),
        (("best", "--trial", "first_00001"), "name the run of the trial"),
        (("first:1", "--trial", "2"), "name the run of the trial"),
        (("first", "--cache", "nowhere"), "nowhere: no cache here"),
    ],
)
def test_bad_input_is_reported_in_one_line(
    made_runs: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run(*arguments, "--runs", str(made_runs), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_score(tmp_path: Path) -> None:
    write_scores(tmp_path, "failed", [None])
    result = run("failed", "--runs", str(tmp_path), "--out", str(tmp_path / "out"), "--debug")
    assert type(result.exception).__name__ == "RunError"


def test_out_must_be_given() -> None:
    result = run("first")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_an_ensemble_is_selected_and_its_weights_are_stored(runs: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = RunFolder.at(runs, "first")
    trials = folder.trials()
    frame = folder.predictions("first_00000")
    truth = np.array([["blues", "disco", "metal"].index(label) for label in frame["label"]])
    # Each of two trials is certain about one half of the tracks and undecided about the other.
    for number in range(3):
        probabilities = np.full((len(truth), 3), 1 / 3) + 0.01 * rng.random((len(truth), 3))
        certain = np.arange(len(truth)) % 2 == number
        probabilities[certain] += np.eye(3)[truth[certain]]
        folder.write_predictions(
            f"first_{number:05d}",
            frame["track_id"].to_numpy(),
            frame["label"].to_numpy(),
            ("blues", "disco", "metal"),
            probabilities / probabilities.sum(axis=1, keepdims=True),
            int(trials["best_epoch"][number]),
        )
    result = run("first", "--runs", str(runs), "--out", str(tmp_path / "out"), "--ensemble")
    assert result.exit_code == 0, result.output
    assert "by cross-fitting, the best single trial" in result.stderr
    assert "(recommended)" in result.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert len(config["weights"]) == len(config["members"]) >= 2
    assert sum(config["weights"]) == pytest.approx(1)
    assert "| weight |" in (tmp_path / "out" / "README.md").read_text()
    assert results.load(tmp_path / "out").config.weights == config["weights"]
    broken = config | {"weights": [1.0]}
    (tmp_path / "out" / "config.json").write_text(json.dumps(broken))
    with pytest.raises(ExportError, match="weights are not one positive number per member"):
        results.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ensemble", "--top", "2"], "--ensemble selects the number of members"),
        (["--ensemble", "--trial", "t1"], "an ensemble needs several trials; leave out --ensemble"),
    ],
)
def test_options_that_contradict_ensemble_are_refused(
    runs: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = run("first", "--runs", str(runs), "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_ensemble_needs_stored_predictions(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, 0.7])
    result = run("a", "--runs", str(tmp_path), "--out", str(tmp_path / "out"), "--ensemble")
    assert result.exit_code == 2
    assert "--ensemble: 0 trials with stored predictions are too few" in result.stderr


def test_the_card_describes_the_calibration(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    calibration = json.loads((exported / "calibration.json").read_text())
    assert f"T = {calibration['temperature']:.2f}" in card
    assert "expected calibration error" in card
    assert "after correction for choosing among 3 trials" in card
    assert "No groups of tracks (artists, albums) are known" in card
    config = json.loads((exported / "config.json").read_text())
    assert config["temperature"] == calibration["temperature"]


def test_a_failed_calibration_is_reported(runs: Path, tmp_path: Path) -> None:
    folder = RunFolder.at(runs, "untested")
    frame = folder.predictions("untested_00001")
    genres = ("blues", "disco", "metal")
    certain = np.array([[float(genre == label) for genre in genres] for label in frame["label"]])
    epoch = int(folder.trials()["best_epoch"][1])
    tracks, labels = frame["track_id"].to_numpy(), frame["label"].to_numpy()
    folder.write_predictions("untested_00001", tracks, labels, genres, certain, epoch)
    out = tmp_path / "out"
    result = run("untested:1", "--runs", str(runs), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "exported without calibration: no temperature can be fitted" in result.stderr
    assert "no temperature could be fitted" in (out / "README.md").read_text()
    assert not (out / "calibration.json").exists()
