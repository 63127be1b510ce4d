from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import results
from data.cache.cache import Cache
from data.dataset.splits import TEST, Split
from data.dataset.task import locked_task
from data.dataset.track_scores import vote
from data.errors import ExportError, RunError
from results.evaluation.trials import named_trial
from results.exporting.scoring_record import earlier_scorings, recorded_scoring
from results.exporting.writer import export_trial

FILES = {
    "model.keras",
    "config.json",
    "preprocess.json",
    "labels.json",
    "metrics.json",
    "README.md",
    "confusion.png",
    "calibration.json",
    "reliability.png",
}


def test_an_export_has_all_files(exported: Path) -> None:
    assert {file.name for file in exported.iterdir()} == FILES
    assert not list(exported.parent.glob(".tmp-*"))
    assert json.loads((exported / "labels.json").read_text()) == ["blues", "disco", "metal"]
    config = json.loads((exported / "config.json").read_text())
    assert config["run"] == "first"
    assert config["synthetic"] is True


def test_validation_metrics_are_those_of_the_search(exported: Path, made_runs: Path) -> None:
    metrics = json.loads((exported / "metrics.json").read_text())
    trial = named_trial("first", str(made_runs))
    assert metrics["validation"]["accuracy"] == pytest.approx(trial.val_accuracy)
    assert metrics["validation"]["n"] == trial.info.n_validated
    assert np.sum(metrics["validation"]["confusion"]) == trial.info.n_validated


def test_test_metrics_are_those_of_the_exported_files(exported: Path, made_runs: Path) -> None:
    metrics = json.loads((exported / "metrics.json").read_text())
    trial = named_trial("first", str(made_runs))
    task = locked_task(Cache.open(trial.info.cache.uri).features, trial.run.split())
    probabilities = vote(results.load(exported).predict_rows(task.X), task.track, len(task.track_id))
    correct = probabilities.argmax(axis=1) == task.track_label
    assert metrics["test"]["accuracy"] == pytest.approx(correct.mean())
    assert metrics["test"]["n"] == trial.info.n_test
    assert metrics["test"]["low"] < metrics["test"]["accuracy"] <= metrics["test"]["high"]


def test_every_evaluation_on_the_test_set_is_recorded_and_reported(runs: Path, tmp_path: Path) -> None:
    first, again = named_trial("first", str(runs)), named_trial("again", str(runs))
    metrics = export_trial(first, tmp_path / "one", runs=str(runs))
    (score,) = first.run.test_scores()
    assert score["trial_id"] == first.trial_id
    assert score["accuracy"] == metrics["test"]["accuracy"]
    assert "This was the first evaluation" in (tmp_path / "one" / "README.md").read_text()

    # Another run with the same held-out tracks.
    export_trial(again, tmp_path / "two", runs=str(runs))
    card = (tmp_path / "two" / "README.md").read_text()
    assert "had been used 1 time before" in card
    assert f"{first.name}," in card
    assert len(first.run.test_scores()) == len(again.run.test_scores()) == 1


def test_of_two_evaluations_at_once_none_is_lost_and_at_most_one_is_the_first(runs: Path) -> None:
    trial, other = named_trial("first", str(runs)), named_trial("again", str(runs))
    result = {"accuracy": 0.5, "low": 0.4, "high": 0.6, "n": 7, "macro_f1": 0.5}
    with (
        recorded_scoring(trial, str(runs), run="first", trial_id="a", when="2026-01-01T00:00:00") as one,
        recorded_scoring(trial, str(runs), run="first", trial_id="b", when="2026-01-01T00:00:00") as two,
        recorded_scoring(other, str(runs), run="again", trial_id="c", when="2026-01-01T00:00:00") as three,
    ):
        for scoring in (one, two, three):
            scoring.finish(result)
    assert [len(scoring.earlier) for scoring in (one, two, three)] == [0, 1, 2]
    assert {score["trial_id"] for score in trial.run.test_scores()} == {"a", "b"}
    assert all(score["accuracy"] == 0.5 for score in trial.run.test_scores())


def test_a_failed_evaluation_stays_recorded_without_a_score(runs: Path) -> None:
    trial = named_trial("first", str(runs))
    with (
        pytest.raises(ZeroDivisionError),
        recorded_scoring(trial, str(runs), run="first", trial_id="a", when="2026-01-01T00:00:00"),
    ):
        raise ZeroDivisionError
    (score,) = earlier_scorings(trial, str(runs))
    assert score["trial_id"] == "a"
    assert "accuracy" not in score


def test_evaluations_of_version_0_1_are_read(runs: Path) -> None:
    trial = named_trial("first", str(runs))
    (runs / "first" / "test_scores.json").write_text('[{"run": "first", "trial_id": "old", "when": "2025"}]')
    trial.run.write_test_score({"run": "first", "trial_id": "new", "when": "2026"})
    assert [score["trial_id"] for score in earlier_scorings(trial, str(runs))] == ["old", "new"]


def test_other_folds_and_an_extended_cache_have_the_same_test_tracks(runs: Path) -> None:
    trial, other = named_trial("first", str(runs)), named_trial("again", str(runs))
    split = other.run.split()
    other.run.write_test_score({"run": "again", "when": "2026"})
    extended = other.info.cache.model_copy(update={"fingerprint": "tensors were added"})
    other.run.write_info(
        other.info.model_copy(update={"split_fingerprint": "other folds", "cache": extended})
    )
    assert [score["run"] for score in earlier_scorings(trial, str(runs))] == ["again"]
    side = np.where(split.test, 0, split.fold)
    side[np.flatnonzero(~split.test)[:3]] = TEST
    other.run.write_split(Split(split.track_id, side))
    assert earlier_scorings(trial, str(runs)) == []


def test_a_damaged_other_run_does_not_stop_the_export(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = named_trial("first", str(runs))
    (runs / "again" / "run.json").write_text("{")
    (runs / "untested" / "test_scores.json").write_text('[{"when": "2026"}]')
    (runs / "untested" / "splits.parquet").unlink()
    export_trial(trial, tmp_path / "out", runs=str(runs))
    assert (tmp_path / "out" / "README.md").is_file()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: not checked for earlier evaluations on the test set: run 'untested': ")
    assert "splits.parquet is missing" in line


def test_the_error_names_the_run_if_an_evaluation_cannot_be_recorded(runs: Path, tmp_path: Path) -> None:
    (runs / "first" / "test_scores").write_text("not a folder")
    with pytest.raises(RunError, match=r"first/test_scores: cannot be written .* has to be recorded"):
        export_trial(named_trial("first", str(runs)), tmp_path / "out", runs=str(runs))
    assert not (tmp_path / "out").exists()


def test_without_a_held_out_test_set_no_test_metrics_appear(runs: Path, tmp_path: Path) -> None:
    trial = named_trial("untested", str(runs))
    metrics = export_trial(trial, tmp_path / "out", runs=str(runs))
    assert set(metrics) == {"validation"}
    assert set(json.loads((tmp_path / "out" / "metrics.json").read_text())) == {"validation"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| test |" not in card
    assert "No test tracks were held out" in card
    assert trial.run.test_scores() == []


def test_an_existing_folder_is_not_changed(made_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="already exists"):
        export_trial(named_trial("first", str(made_runs)), tmp_path / "out", runs=str(made_runs))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_failed_export_leaves_no_files(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("results.exporting.writer.plot_confusion", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export_trial(named_trial("untested", str(runs)), tmp_path / "sub" / "out", runs=str(runs))
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_folder_that_cannot_be_replaced_is_reported_before_the_training(
    made_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "results.exporting.writer.refit", lambda *_, **__: pytest.fail("the training started")
    )
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    with pytest.raises(ExportError, match="linked: cannot be written"):
        export_trial(named_trial("first", str(made_runs)), tmp_path / "linked", runs=str(made_runs))
