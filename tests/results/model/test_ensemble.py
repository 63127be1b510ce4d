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
from results.model.classifier import Prediction
from results.model.ensemble import Ensemble, _segment_at
from results.ranking.boards import boards
from search.storage.run_folder import RunFolder
from tests.support.paths import ROOT
from tests.support.runs import write_judgement, write_scores


@pytest.fixture(scope="module")
def runs_copy(made_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(made_runs, tmp_path_factory.mktemp("voting") / "runs"))


@pytest.fixture(scope="module")
def voted(runs_copy: Path) -> Path:
    """An ensemble of the two best of a run."""
    out = runs_copy.parent / "voted"
    arguments = ["first", "--runs", str(runs_copy), "--out", str(out), "--top", "2", "--format", "savedmodel"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "test accuracy (SYNTHETIC data)" in done.stdout
    return out


def test_each_member_has_its_files(voted: Path) -> None:
    names = json.loads((voted / "config.json").read_text())["members"]
    assert names == ["1-features_mlp", "2-features_mlp"]
    for name in names:
        inside = {file.name for file in (voted / name).iterdir()}
        assert inside == {"model.keras", "config.json", "preprocess.json", "labels.json", "savedmodel"}
    assert {"labels.json", "metrics.json", "README.md", "confusion.png"} < {
        file.name for file in voted.iterdir()
    }


def test_the_locked_test_was_scored_once_by_the_vote(voted: Path, runs_copy: Path) -> None:
    trial = named_trial("first", str(runs_copy))
    task = locked_task(Cache.open(trial.info.cache.uri).features, trial.run.split())
    ensemble = results.load(voted)
    assert isinstance(ensemble, Ensemble)
    said = [vote(one.judge_rows(task.X), task.track, len(task.track_id)) for one in ensemble.members]
    right = np.mean(said, axis=0).argmax(axis=1) == task.track_label
    (score,) = trial.run.test_scores()
    assert score["trial_id"] == "ensemble"
    assert score["accuracy"] == pytest.approx(right.mean())
    assert json.loads((voted / "metrics.json").read_text())["test"]["accuracy"] == score["accuracy"]
    card = (voted / "README.md").read_text()
    assert "The members alone were not scored on the test." in card
    assert "This was the first scoring" in card


@pytest.mark.slow
def test_moved_elsewhere_it_answers_the_same_in_a_fresh_process(
    voted: Path, song: Path, tmp_path: Path
) -> None:
    expected = results.load(voted).predict(song)
    moved = shutil.copytree(voted, tmp_path / "elsewhere")
    done = subprocess.run(
        [sys.executable, "-m", "results.predict", str(moved), str(song), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    single = [member.predict(song).probabilities for member in results.load(voted).members]
    mean = np.array([np.mean([each[genre] for each in single]) for genre in expected.probabilities])
    calibrated = apply_temperature(mean, results.load(voted).config.temperature)
    assert list(found["probabilities"].values()) == pytest.approx(calibrated, abs=1e-5)


def test_members_of_other_rhythms_are_asked_about_the_same_time() -> None:
    def said(starts: list[float], shares: list[float]) -> Prediction:
        return Prediction("", {"a": 0.0}, starts, [{"a": share} for share in shares])

    both = [said([0, 3, 6], [0.1, 0.2, 0.3]), said([0, 5], [0.5, 0.9])]
    asked = [[_segment_at(second, each)["a"] for each in both] for second in (0, 3, 6)]
    assert asked == [[0.1, 0.5], [0.2, 0.5], [0.3, 0.9]]


def write_voters(runs: Path, name: str, accuracies: list[float], **changes: Any) -> RunFolder:
    """A run that was not trained: different configurations, the same ones in each run, with judgements."""
    run = write_scores(runs, name, list(accuracies), **changes)
    run.write_tables(run.trials().assign(**{"config.units_1": np.arange(len(accuracies))}), run.history())
    for number, accuracy in enumerate(accuracies):
        write_judgement(run, f"t{number}", round(100 * accuracy))
    return run


def test_the_best_of_each_family_comes_first(tmp_path: Path) -> None:
    write_voters(tmp_path, "a", [0.9, 0.8, 0.7])
    write_voters(tmp_path, "b", [0.6, 0.5], family="melspec_cnn")
    (board,), _ = boards(str(tmp_path), top=3)
    chosen = choose_members(board, 3, str(tmp_path))
    assert [(one.info.family, one.val_accuracy) for one in chosen] == [
        ("features_mlp", 0.9),
        ("melspec_cnn", 0.6),
        ("features_mlp", 0.8),
    ]


def test_a_trial_without_a_judgement_of_its_epoch_has_no_vote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write_voters(tmp_path, "a", [0.9, 0.8, 0.7, 0.6])
    (tmp_path / "a" / "predictions" / "t0.parquet").unlink()
    write_judgement(written, "t1", 80, epoch=2)
    (board,), _ = boards(str(tmp_path))
    assert [one.trial_id for one in choose_members(board, 2, str(tmp_path))] == ["t2", "t3"]
    missing, other = capsys.readouterr().err.splitlines()
    assert "t0.parquet is missing" in missing
    assert "t1.parquet: is of epoch 2" in other
    with pytest.raises(RunError, match="only 2 different trials"):
        choose_members(board, 3, str(tmp_path))


def test_one_network_has_one_vote(tmp_path: Path) -> None:
    write_voters(tmp_path, "a", [0.9, 0.7])
    write_voters(tmp_path, "b", [0.8, 0.6])
    (board,), _ = boards(str(tmp_path))
    chosen = choose_members(board, 2, str(tmp_path))
    assert [(one.run.name, one.trial_id) for one in chosen] == [("a", "t0"), ("a", "t1")]
    write_voters(tmp_path, "b", [0.8, 0.6], seed=1)
    (board,), _ = boards(str(tmp_path))
    chosen = choose_members(board, 2, str(tmp_path))
    assert [(one.run.name, one.trial_id) for one in chosen] == [("a", "t0"), ("b", "t0")]


@pytest.mark.parametrize(("accuracy", "worse"), [(0.0, True), (1.0, False)])
def test_a_vote_that_is_worse_than_a_member_is_said(
    made_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float, worse: bool
) -> None:
    side = {"accuracy": accuracy, "low": 0.0, "high": 1.0, "n": 10}
    monkeypatch.setattr(
        "results.exporting.ensemble_writer.export_ensemble", lambda *_, **__: {"validation": side}
    )
    out = str(tmp_path / "out")
    done = CliRunner().invoke(main, ["first", "--runs", str(made_runs), "--out", out, "--top", "2"])
    assert done.exit_code == 0, done.output
    assert ("the vote is worse in validation than its members' mean" in done.stderr) is worse


def test_bad_input_is_one_line(made_runs: Path, voted: Path, tmp_path: Path) -> None:
    common = ["--runs", str(made_runs), "--out", str(tmp_path / "out")]
    for arguments, told in (
        (["first", "--top", "9"], "--top 9: only 3 different trials"),
        (["first", "--top", "2", "--trial", "x"], "one trial is no ensemble"),
        (["nobody", "--top", "2"], "no run 'nobody'"),
    ):
        done = CliRunner().invoke(main, [*arguments, *common])
        assert done.exit_code == 2
        (line,) = done.stderr.strip().splitlines()
        assert told in line
    assert not (tmp_path / "out").exists()
    copy = shutil.copytree(voted, tmp_path / "copy")
    shutil.rmtree(copy / "2-features_mlp")
    with pytest.raises(ExportError, match="2-features_mlp"):
        results.load(copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"members": ["../voted"]}))
    with pytest.raises(ExportError, match="not names of subfolders"):
        results.load(copy)
    assert RunFolder.at(made_runs, "first").test_scores() == []
