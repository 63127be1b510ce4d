from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from results.reporting.terminal import curve_line
from results.show import main
from search.storage.predictions import all_folds_name
from tests.support.runs import write_judgement, write_scores


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_trial_is_shown_with_configuration_scores_curve_and_confusion(made_runs: Path) -> None:
    result = run("first:1", "--runs", str(made_runs))
    assert result.exit_code == 0, result.output
    for text in (
        "Trial first:1",
        "COMPLETE",
        "units_1",
        "64",
        "quantile",
        "by epoch",
        "1 blues",
        "SYNTHETIC",
    ):
        assert text in result.stdout
    assert "Run first" not in result.stdout


def test_a_run_is_shown_with_its_best_trial(made_runs: Path) -> None:
    result = run("again", "--runs", str(made_runs))
    assert result.exit_code == 0, result.output
    assert "Run again" in result.stdout
    assert "2 COMPLETE" in result.stdout
    assert "best" in result.stdout


def test_a_failed_trial_is_shown_with_its_error(made_runs: Path) -> None:
    result = run("first:3", "--runs", str(made_runs))
    assert result.exit_code == 0, result.output
    assert "FAIL" in result.stdout
    assert "ValueError: <too wide>" in result.stdout
    assert "units_1" in result.stdout


def test_a_search_over_several_families_is_shown_with_the_best_of_all(tmp_path: Path) -> None:
    for family, n_correct in (("features_mlp", 60), ("melspec_cnn", 70)):
        written = write_scores(tmp_path, f"all-{family}", [n_correct / 100], family=family)
        write_judgement(written, "t0", n_correct)
    result = run("all:best", "--runs", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "Trial all-melspec_cnn:0" in result.stdout
    result = run("all:1", "--runs", str(tmp_path))
    assert result.exit_code == 2
    assert "name one of all-features_mlp:1, all-melspec_cnn:1" in result.stderr


def test_the_score_of_a_trial_that_was_trained_on_all_folds_is_shown_too(tmp_path: Path) -> None:
    run_folder = write_scores(tmp_path, "cnn", [0.8], family="melspec_cnn")
    write_judgement(run_folder, "t0", 80)
    assert "on all folds" not in run("cnn:0", "--runs", str(tmp_path)).stdout
    write_judgement(run_folder, all_folds_name("t0"), 70)
    result = run("cnn:0", "--runs", str(tmp_path))
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.stdout.splitlines() if "on all folds" in line)
    assert "70.0 % [60.4, 78.1], 100 tracks" in line


@pytest.mark.parametrize(
    ("reference", "message"), [("frist", "nearest name is 'first'"), ("first:9", "first:3")]
)
def test_a_wrong_name_is_answered_with_the_nearest(made_runs: Path, reference: str, message: str) -> None:
    result = run(reference, "--runs", str(made_runs))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_curve_has_one_block_per_epoch_up_to_a_limit() -> None:
    assert "▁█ (epochs 1 to 2)" in curve_line(np.array([0.2, 0.4]))
    assert curve_line(np.linspace(0, 1, 500)).count("█") < 10
