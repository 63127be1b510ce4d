from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from results.leaderboard import main
from search.storage.run_folder import RunFolder
from tests.support.paths import ROOT
from tests.support.runs import make_info, write_judgement, write_scores

HEAVY = ("pandas", "pyarrow.dataset", "scipy", "sklearn", "matplotlib", "tensorflow", "ray", "optuna")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_table_shows_intervals_lift_and_baseline(made_runs: Path) -> None:
    result = run("--runs", str(made_runs), "--top", "1")
    assert result.exit_code == 0, result.output
    for heading in ("rank", "family", "trial", "val accuracy [95 %]", "lift", "parameters", "time"):
        assert heading in result.stdout
    assert result.stdout.count("BASELINE") == 3
    assert "SYNTHETIC data" in result.stdout
    assert "another split" in result.stdout
    assert "without a score: 1" in result.stdout


def test_real_data_is_not_called_synthetic(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, 0.6], status="PRUNED")
    result = run("--runs", str(tmp_path))
    assert "SYNTHETIC" not in result.stdout
    assert "PRUNED trials were stopped early" in result.stdout
    assert "50.0 % [40.4, 59.6]" in result.stdout
    assert "+10.0" in result.stdout
    assert "1:15" in result.stdout
    assert "1,234" in result.stdout


def test_brackets_in_a_name_are_printed_as_they_are(tmp_path: Path) -> None:
    write_scores(tmp_path, "odd[red]", [0.5])
    assert "odd[red]" in run("--runs", str(tmp_path)).stdout


def test_json(made_runs: Path) -> None:
    result = run("--runs", str(made_runs), "--format", "json")
    first, second = json.loads(result.stdout)
    assert second["why"]
    assert first["synthetic"] is True
    entry = first["entries"][0]
    assert entry["rank"] == 1
    assert entry["low"] < entry["val_accuracy"] < entry["high"]
    assert {entry["run"] for entry in first["entries"]} == {"first", "again"}


def test_entries_without_a_significant_difference_are_marked(tmp_path: Path) -> None:
    written = write_scores(tmp_path, "a", [0.6, 0.8, 0.78, 0.7])
    for number, right in enumerate((60, 80, 78)):
        write_judgement(written, f"t{number}", right)
    (board,) = json.loads(run("--runs", str(tmp_path), "--format", "json").stdout)
    assert [(entry["trial_id"], entry["tied"]) for entry in board["entries"]] == [
        ("t1", None),
        ("t2", True),
        ("t3", None),  # its predictions were not stored
        ("t0", False),
    ]
    result = run("--runs", str(tmp_path), "--format", "md")
    assert "| 2 ~ | a:2 |" in result.stdout
    assert "| 4 | a:0 |" in result.stdout
    assert "~ does not differ significantly from rank 1: on the same 100 tracks" in result.stdout
    assert "Some trials could not be tested against rank 1" in result.stdout
    assert "The best scores 80.0 %, " in result.stdout
    assert "correction for choosing among 4 trials (the choice of the epoch is not" in result.stdout
    assert "the predictions of 1 are missing" in result.stdout
    assert "No groups of tracks (artists, albums) are known" in result.stdout


def test_a_single_trial_was_not_selected(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.6])
    result = run("--runs", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "the best of" not in result.stdout


def test_the_best_of_each_family_is_shown(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, 0.9, 0.8])
    write_scores(tmp_path, "b", [0.4, 0.6, 0.55], family="melspec_cnn")
    (board,) = json.loads(run("--runs", str(tmp_path), "--format", "json", "--top", "1").stdout)
    assert [(entry["rank"], entry["run"]) for entry in board["entries"]] == [
        (1, "a"),
        (3, "b"),
        (5, "a"),
        (6, "b"),
    ]


def test_the_table_needs_no_heavy_import(made_runs: Path) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--runs', {str(made_runs)!r}]\n"
        "try:\n"
        "    runpy.run_module('results.leaderboard', run_name='__main__')\n"
        "finally:\n"
        f"    print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "BASELINE" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_csv(made_runs: Path) -> None:
    result = run("--runs", str(made_runs), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["table"] for row in rows} == {"1", "2"}
    assert {row["synthetic"] for row in rows} == {"True"}
    assert float(rows[0]["val_accuracy"]) > 0


def test_markdown(made_runs: Path) -> None:
    result = run("--runs", str(made_runs), "--format", "md")
    assert "| rank | trial | family |" in result.stdout
    assert result.stdout.count("**Table") == 2
    assert "SYNTHETIC" in result.stdout


def test_family(made_runs: Path) -> None:
    assert run("--runs", str(made_runs), "--family", "features_mlp").exit_code == 0
    result = run("--runs", str(made_runs), "--family", "nobody")
    assert result.exit_code == 2
    assert "--family nobody: unknown" in result.stderr


def test_runs_without_a_score_are_named(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5])
    RunFolder.at(tmp_path, "young").write_info(make_info("young"))
    result = run("--runs", str(tmp_path))
    assert result.exit_code == 0
    assert "young" in result.stderr


def test_no_runs_is_one_line_and_status_2(tmp_path: Path) -> None:
    result = run("--runs", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.strip().splitlines() == [
        f"Error: --runs {tmp_path}: no runs found; start one with"
        f" 'python -m search.run --family NAME --runs {tmp_path}'"
    ]


@pytest.mark.parametrize("form", ["table", "md"])
def test_compare_as_text(made_runs: Path, form: str) -> None:
    result = run("--runs", str(made_runs), "--compare", "first", "untested:BASELINE", "--format", form)
    assert result.exit_code == 0, result.output
    for part in ("exact McNemar test, p =", "paired bootstrap", "use different splits", "SYNTHETIC"):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("a", "b"), "A is the best of 3 trials of its run and B is the best of 2 trials of its run on"),
        (("b:t0", "a:t1"), "B is the best of 3 trials of its run on these tracks; the test does not account"),
        (("a:t2", "b:BASELINE"), None),
        (("c", "c:BASELINE"), None),  # a run of one trial
    ],
)
def test_compare_names_trials_that_were_selected_on_the_same_tracks(
    tmp_path: Path, sides: tuple[str, str], message: str | None
) -> None:
    for name, n_correct in (("a", (60, 80, 70)), ("b", (50, 60)), ("c", (50,))):
        written = write_scores(tmp_path, name, [count / 100 for count in n_correct])
        for number, count in enumerate(n_correct):
            write_judgement(written, f"t{number}", count)
    result = run("--runs", str(tmp_path), "--compare", *sides)
    assert result.exit_code == 0, result.output
    assert message in result.stdout if message else "is the best of" not in result.stdout


def test_compare_as_data(made_runs: Path) -> None:
    arguments = ("--runs", str(made_runs), "--compare", "first", "again:again_00001", "--format")
    record = json.loads(run(*arguments, "json").stdout)
    assert record["b"]["name"] == "again:1"
    assert record["same_split"] is True
    assert 0 <= record["mcnemar_p"] <= 1
    assert record["difference_low"] <= record["difference"] <= record["difference_high"]
    (row,) = csv.DictReader(io.StringIO(run(*arguments, "csv").stdout))
    assert row["b_trial_id"] == "again_00001"
    assert float(row["a_accuracy"]) == pytest.approx(record["a"]["accuracy"])


def test_compare_with_an_unknown_run(made_runs: Path) -> None:
    result = run("--runs", str(made_runs), "--compare", "first", "nobody")
    assert result.exit_code == 2
    assert "no run 'nobody'" in result.stderr


def test_debug_keeps_the_traceback(tmp_path: Path) -> None:
    result = run("--runs", str(tmp_path), "--debug")
    assert type(result.exception).__name__ == "RunError"


def test_named_runs(made_runs: Path) -> None:
    result = run("again", "--runs", str(made_runs), "--format", "json")
    (board,) = json.loads(result.stdout)
    assert {entry["name"] for entry in board["entries"]} == {"again:0", "again:1"}
    result = run("agian", "--runs", str(made_runs))
    assert result.exit_code == 2
    assert "the nearest name is 'again'" in result.stderr


def test_columns_are_selected_by_name(made_runs: Path) -> None:
    arguments = ("--runs", str(made_runs), "--format", "md", "--columns")
    result = run(*arguments, "id,macro_f1,best_epoch")
    assert "| rank | trial | id | macro F1 | best epoch |" in result.stdout
    result = run(*arguments, "makro_f1")
    assert result.exit_code == 2
    assert "no column 'makro_f1'; did you mean macro_f1? The columns are rank, trial," in result.stderr


@pytest.mark.parametrize(("width", "missing"), [(80, ["parameters"]), (60, ["parameters", "time", "epochs"])])
def test_a_narrow_terminal_leaves_columns_out_but_breaks_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, missing: list[str]
) -> None:
    name = "2026-11-28-long-name"
    write_scores(tmp_path, name, [0.5, 0.6, None])
    write_scores(tmp_path, "short", [0.55, 0.7], family="melspec_cnn", status="PRUNED")
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None, markup=False)
    monkeypatch.setattr("results.leaderboard.out", lambda: console)
    monkeypatch.setattr(sys, "stdout", stream)
    main.main(["--runs", str(tmp_path)], standalone_mode=False)
    lines = stream.getvalue().splitlines()
    table = [line for line in lines if line.startswith(("│", "┃"))]
    assert max(map(len, table)) <= width
    assert any(f" {name}:1 " in line for line in table)
    for heading in missing:
        assert heading not in table[0]
    # The same in all rows, so it stands in the title.
    assert "SYNTHETIC" not in stream.getvalue()


def test_notes_are_printed_once(made_runs: Path) -> None:
    result = run("--runs", str(made_runs))
    assert result.stdout.count("SYNTHETIC data: these numbers") == 1
    assert result.stdout.count("No groups of tracks") == 1


def test_an_ensemble_has_a_row_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    written = write_scores(tmp_path, "a", [0.6, 0.6])
    tracks = np.array([f"blues/{number:03d}" for number in range(100)], dtype=object)
    labels = np.full(100, "blues", dtype=object)
    for number in range(2):
        # Each trial is certain about its own half of the tracks.
        probabilities = np.full((100, 3), 1 / 3) + 0.01 * rng.random((100, 3))
        probabilities[np.arange(100) % 2 == number, 0] += 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        written.write_predictions(f"t{number}", tracks, labels, ("blues", "disco", "metal"), probabilities)
    result = run("--runs", str(tmp_path))
    assert "ensemble of 2" in result.stdout
    assert "(recommended)" in result.stdout
    (board,) = json.loads(run("--runs", str(tmp_path), "--format", "json").stdout)
    assert board["ensemble"]["recommended"] is True
    assert set(board["ensemble"]["members"]) == {"a:0", "a:1"}
