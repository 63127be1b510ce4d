from __future__ import annotations

from pathlib import Path

import pytest

import results
from data.errors import RunError
from tests.support.runs import write_judgement, write_scores


def test_a_run_in_python(made_runs: Path) -> None:
    run = results.open_run("first", made_runs)
    assert run.best.name.startswith("first:")
    assert run.best_config == run.best.config
    assert run.trials["name"].tolist() == ["first:0", "first:1", "first:2", "first:3"]
    assert run.trial(1) == run.trial("first:1") == run.trial("first_00001")
    board = run.leaderboard(top=2)
    assert board["name"].iloc[0] == run.best.name
    assert board["rank"].is_monotonic_increasing
    assert run.compare("first:1", 0).b.baseline
    assert repr(run).startswith("<OpenedRun first: features_mlp, finished; 4 trials; best first:")
    assert "SYNTHETIC data" in repr(run)
    assert "<table" in run._repr_html_()


def test_wrong_names_name_the_nearest(made_runs: Path) -> None:
    with pytest.raises(RunError, match="nearest name is 'first'"):
        results.open_run("fist", made_runs)
    with pytest.raises(RunError, match="nearest name is first:3"):
        results.open_run("first", made_runs).trial(7)


def test_a_report_is_written(made_runs: Path, tmp_path: Path) -> None:
    path = results.open_run("again", made_runs).report(tmp_path / "report.html")
    assert "again" in path.read_text()


def test_plots_need_a_study(made_runs: Path) -> None:
    with pytest.raises(RunError, match=r"study\.journal is missing"):
        results.open_run("first", made_runs).plot_history()


def test_the_leaderboard_is_a_table_and_a_module(made_runs: Path) -> None:
    table = results.leaderboard(made_runs, family="features_mlp", top=1)  # type: ignore[operator]
    assert set(table["table"]) == {1, 2}
    assert results.leaderboard.main.name == "main"


def test_several_families_have_one_best(tmp_path: Path) -> None:
    for family, right in (("features_mlp", 60), ("melspec_cnn", 70)):
        written = write_scores(tmp_path, f"all-{family}", [right / 100, None], family=family)
        write_judgement(written, "t0", right)
    run = results.open_run("all", tmp_path)
    assert run.best.name == "all-melspec_cnn:0"
    assert len(run.trials) == 4
    assert "features_mlp, melspec_cnn" in repr(run)
