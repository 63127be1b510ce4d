from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import results
from data.cache.cache import Cache
from data.dataset.calibration import apply_temperature
from data.dataset.task import locked_task
from data.dataset.track_scores import vote
from data.errors import ExportError, RunError
from results.evaluation.trials import named_trial
from results.export import main
from results.exporting.ensemble_writer import choose_members
from results.model.ensemble import Ensemble, _segment_at
from results.model.prediction import Prediction
from results.ranking.boards import boards
from search.storage.run_folder import RunFolder
from tests.support.paths import ROOT
from tests.support.runs import write_judgement, write_scores


@pytest.fixture(scope="module")
def runs_copy(made_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(made_runs, tmp_path_factory.mktemp("voting") / "runs"))


@pytest.fixture(scope="module")
def ensemble_folder(runs_copy: Path) -> Path:
    """An exported ensemble of the two best trials of a run."""
    out = runs_copy.parent / "ensemble_folder"
    arguments = ["first", "--runs", str(runs_copy), "--out", str(out), "--top", "2", "--format", "savedmodel"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "test accuracy (SYNTHETIC data)" in result.stdout
    return out


def test_every_member_has_its_files(ensemble_folder: Path) -> None:
    names = json.loads((ensemble_folder / "config.json").read_text())["members"]
    assert names == ["1-features_mlp", "2-features_mlp"]
    for name in names:
        member_files = {file.name for file in (ensemble_folder / name).iterdir()}
        assert member_files == {"model.keras", "config.json", "preprocess.json", "labels.json", "savedmodel"}
    assert {"labels.json", "metrics.json", "README.md", "confusion.png"} < {
        file.name for file in ensemble_folder.iterdir()
    }


def test_the_ensemble_was_evaluated_once_on_the_test_set(ensemble_folder: Path, runs_copy: Path) -> None:
    trial = named_trial("first", str(runs_copy))
    task = locked_task(Cache.open(trial.info.cache.uri).features, trial.run.split())
    ensemble = results.load(ensemble_folder)
    assert isinstance(ensemble, Ensemble)
    predictions = [
        vote(member.predict_rows(task.X), task.track, len(task.track_id)) for member in ensemble.members
    ]
    correct = np.mean(predictions, axis=0).argmax(axis=1) == task.track_label
    (score,) = trial.run.test_scores()
    assert score["trial_id"] == "ensemble"
    assert score["accuracy"] == pytest.approx(correct.mean())
    assert json.loads((ensemble_folder / "metrics.json").read_text())["test"]["accuracy"] == score["accuracy"]
    card = (ensemble_folder / "README.md").read_text()
    assert "The members were not evaluated individually on the test set." in card
    assert "This was the first evaluation" in card


@pytest.mark.slow
def test_a_moved_ensemble_predicts_the_same_in_a_new_process(
    ensemble_folder: Path, song: Path, tmp_path: Path
) -> None:
    expected = results.load(ensemble_folder).predict(song)
    moved = shutil.copytree(ensemble_folder, tmp_path / "elsewhere")
    result = subprocess.run(
        [sys.executable, "-m", "results.predict", str(moved), str(song), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    prediction = json.loads(result.stdout)
    assert prediction["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    by_member = [member.predict(song).probabilities for member in results.load(ensemble_folder).members]
    mean = np.array([np.mean([member[genre] for member in by_member]) for genre in expected.probabilities])
    calibrated = apply_temperature(mean, results.load(ensemble_folder).config.temperature)
    assert list(prediction["probabilities"].values()) == pytest.approx(calibrated, abs=1e-5)


def test_members_with_different_segments_are_aligned_in_time() -> None:
    def prediction_of(starts: list[float], probabilities: list[float]) -> Prediction:
        return Prediction("", {"a": 0.0}, starts, [{"a": probability} for probability in probabilities])

    members = [prediction_of([0, 3, 6], [0.1, 0.2, 0.3]), prediction_of([0, 5], [0.5, 0.9])]
    aligned = [[_segment_at(second, member)["a"] for member in members] for second in (0, 3, 6)]
    assert aligned == [[0.1, 0.5], [0.2, 0.5], [0.3, 0.9]]


def write_trials(runs: Path, name: str, accuracies: list[float], **changes: Any) -> RunFolder:
    """Write a run without training: distinct configurations, the same in each run, with predictions."""
    run = write_scores(runs, name, list(accuracies), **changes)
    settings = {"config.units_1": np.arange(len(accuracies)), "config.epochs": 30}
    run.write_tables(run.trials().assign(**settings), run.history())
    for number, accuracy in enumerate(accuracies):
        write_judgement(run, f"t{number}", round(100 * accuracy))
    return run


def test_the_best_trial_of_each_family_comes_first(tmp_path: Path) -> None:
    write_trials(tmp_path, "a", [0.9, 0.8, 0.7])
    write_trials(tmp_path, "b", [0.6, 0.5], family="melspec_cnn")
    (board,), _ = boards(str(tmp_path), top=3)
    members = choose_members(board, 3, str(tmp_path))
    assert [(trial.info.family, trial.val_accuracy) for trial in members] == [
        ("features_mlp", 0.9),
        ("melspec_cnn", 0.6),
        ("features_mlp", 0.8),
    ]


def test_a_trial_without_predictions_of_its_epoch_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write_trials(tmp_path, "a", [0.9, 0.8, 0.7, 0.6])
    (tmp_path / "a" / "predictions" / "t0.parquet").unlink()
    write_judgement(written, "t1", 80, epoch=2)
    (board,), _ = boards(str(tmp_path))
    assert [trial.trial_id for trial in choose_members(board, 2, str(tmp_path))] == ["t2", "t3"]
    missing, other = capsys.readouterr().err.splitlines()
    assert "t0.parquet is missing" in missing
    assert "t1.parquet: belongs to epoch 2" in other
    with pytest.raises(RunError, match="only 2 different trials"):
        choose_members(board, 3, str(tmp_path))


def test_the_same_network_is_selected_once(tmp_path: Path) -> None:
    write_trials(tmp_path, "a", [0.9, 0.7])
    write_trials(tmp_path, "b", [0.8, 0.6])
    (board,), _ = boards(str(tmp_path))
    members = choose_members(board, 2, str(tmp_path))
    assert [(trial.run.name, trial.trial_id) for trial in members] == [("a", "t0"), ("a", "t1")]
    write_trials(tmp_path, "b", [0.8, 0.6], seed=1)
    (board,), _ = boards(str(tmp_path))
    members = choose_members(board, 2, str(tmp_path))
    assert [(trial.run.name, trial.trial_id) for trial in members] == [("a", "t0"), ("b", "t0")]


@pytest.mark.parametrize(("accuracy", "worse"), [(0.0, True), (1.0, False)])
def test_a_vote_below_the_mean_of_its_members_causes_a_warning(
    made_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float, worse: bool
) -> None:
    scores = {"accuracy": accuracy, "low": 0.0, "high": 1.0, "n": 10}
    monkeypatch.setattr(
        "results.exporting.ensemble_writer.export_ensemble", lambda *_, **__: {"validation": scores}
    )
    out = str(tmp_path / "out")
    result = CliRunner().invoke(main, ["first", "--runs", str(made_runs), "--out", out, "--top", "2"])
    assert result.exit_code == 0, result.output
    assert ("the vote has a lower validation accuracy than its members' mean" in result.stderr) is worse


def test_bad_input_is_reported_in_one_line(made_runs: Path, ensemble_folder: Path, tmp_path: Path) -> None:
    common = ["--runs", str(made_runs), "--out", str(tmp_path / "out")]
    for arguments, message in (
        (["first", "--top", "9"], "--top 9: only 3 different trials"),
        (["first", "--top", "2", "--trial", "x"], "an ensemble needs several trials"),
        (["nobody", "--top", "2"], "no run 'nobody'"),
    ):
        result = CliRunner().invoke(main, [*arguments, *common])
        assert result.exit_code == 2
        (line,) = result.stderr.strip().splitlines()
        assert message in line
    assert not (tmp_path / "out").exists()
    copy = shutil.copytree(ensemble_folder, tmp_path / "copy")
    shutil.rmtree(copy / "2-features_mlp")
    with pytest.raises(ExportError, match="2-features_mlp"):
        results.load(copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"members": ["../ensemble_folder"]}))
    with pytest.raises(ExportError, match="not names of subfolders"):
        results.load(copy)
    assert RunFolder.at(made_runs, "first").test_scores() == []
