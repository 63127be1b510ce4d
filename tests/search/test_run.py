from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from search.plan import make_plan
from search.run import _summarise, main
from search.settings import SearchSettings
from search.storage.run_folder import HISTORY_COLUMNS, TRIAL_COLUMNS, RunFolder
from tests.support.paths import ROOT
from tests.support.runs import make_info
from tests.support.waiting import running, wait_until


def search(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_whole_command(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("units_1: {high: 40}\n")
    said = search(
        *("--family", "features_mlp", "--cache", small_cache, "--name", "cli", "--trials", 3),
        *("--max-epochs", 4, "--folds", 2, "--test-fraction", 0.25, "--searcher", "random"),
        *("--scheduler", "asha", "--grace-period", 1, "--reduction-factor", 2, "--time-budget", 900),
        *("--brackets", 2, "--patience", 3, "--target", 1, "--stagnation", 50),
        *("--set", "dropout=0.1", "--set", "layers=1", "--space", space),
        *("--max-concurrent", 1, "--cpus-per-trial", 0.5, "--gpus-per-trial", 0, "--seed", 5),
        "--no-portfolio",
        *("--runs", tmp_path / "runs"),
    )
    assert said.exit_code == 0, said.output
    run = RunFolder.at(tmp_path / "runs", "cli")
    info = run.info()
    assert run.trials()["config.dropout"].tolist() == [0.0, 0.1, 0.1]
    assert run.trials()["config.units_1"].iloc[1:].max() <= 40
    assert (info.settings["brackets"], info.settings["patience"], info.settings["stagnation"]) == (2, 3, 50)
    assert (info.trials, info.max_epochs, info.folds, info.seed, info.n_test) == (3, 4, 2, 5, 15)
    assert info.settings["searcher"] == "random"
    assert info.portfolio == []
    assert info.settings["cpus_per_trial"] == 0.5
    assert re.search(
        r"Best validation accuracy \d+\.\d%; BASELINE \d+\.\d%; 45 tracks validated", said.output
    )
    assert f"python -m results.export cli --runs {tmp_path}/runs --out" in said.output
    assert "3/3 done" in said.stderr


def test_a_given_partition(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    sides = ["train", "train", "valid", "test"]
    lines = [
        f"{genre}/{genre}.{number:05d},{sides[number % 4]}"
        for genre in ("blues", "disco", "metal")
        for number in range(20)
    ]
    partition = tmp_path / "partition.csv"
    partition.write_text("\n".join(["track_id,split", *lines]))
    options = ("--family", "features_mlp", "--cache", small_cache, "--runs", tmp_path, "--name", "given")
    said = search(*options, "--splits", partition, "--trials", 1, "--max-epochs", 2)
    assert said.exit_code == 0, said.output
    info = RunFolder.at(tmp_path, "given").info()
    assert (info.folds, info.n_validated, info.n_test, info.test_fraction) == (1, 15, 15, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--family is missing; the families are"),
        (("--family", "opera"), "--family opera: unknown"),
        (("--family", "features_mlp", "--cache", "nowhere"), "nowhere: no cache here"),
        (("--family", "features_mlp", "--cache", "SMALL", "--folds", "17"), "17: genre 'blues' has 16"),
        (("--family", "features_mlp", "--cache", "SMALL", "--splits", "none.csv"), "none.csv: no such file"),
        (("--family", "features_mlp", "--cache", "SMALL", "--cpus-per-trial", "999"), "--cpus-per-trial 999"),
        (
            ("--family", "features_mlp", "--cache", "SMALL", "--gpus-per-trial", "1"),
            "the cluster has only 0 GPUs",
        ),
        (("--family", "features_mlp", "--cache", "SMALL", "--set", "lr=1"), "--set: no parameter 'lr'"),
        (
            ("--family", "features_mlp", "--cache", "SMALL", "--space", "none.yaml"),
            "--space none.yaml: no such",
        ),
        (("--family", "features_mlp", "--cache", "SMALL", "--warm-start", "old"), "no run 'old'"),
        (
            ("--family", "features_mlp", "--cache", "SMALL", "--searcher", "grid"),
            "more than 39 configurations",
        ),
        (
            ("--family", "features_mlp", "--cache", "SMALL", "--searcher", "cmaes", "--space", "LAYERS"),
            "layers excludes the BASELINE's 2, so --searcher cmaes would draw it at random",
        ),
        (("--extend", "nothing", "--trials", "2"), "no run 'nothing'"),
        (("--extend", "nothing"), "--extend nothing: --trials is missing"),
        (("--extend", "one", "--resume", "other"), "--extend cannot be used with --resume"),
        (("--resume", "nothing"), "no run 'nothing'"),
        (("--resume", "nothing", "--trials", "5"), "--trials cannot be used with --resume"),
        (("--resume", "nothing", "--no-portfolio"), "--no-portfolio cannot be used with --resume"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    ray_cluster: None, small_cache: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    runs = tmp_path / "runs"
    ranges = tmp_path / "ranges.yaml"
    ranges.write_text("layers: {low: 3, high: 3}\n")
    named = {"SMALL": str(small_cache), "LAYERS": str(ranges)}
    given = [named.get(argument, argument) for argument in arguments]
    result = search(*given, "--runs", runs)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.strip().count("\n") == 0
    assert not runs.exists()


def test_debug_shows_where(tmp_path: Path) -> None:
    result = search("--family", "features_mlp", "--cache", tmp_path, "--debug")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "CacheError"


@pytest.mark.slow
def test_nobody_answers_at_an_address(small_cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "search.run", "--family", "features_mlp", "--address", "127.0.0.1:1"]
    result = subprocess.run(
        [*command, "--cache", str(small_cache), "--runs", str(tmp_path / "runs")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2, result.stderr
    assert "--address 127.0.0.1:1: no cluster listens there" in result.stderr


@pytest.mark.slow
def test_a_stopped_search_keeps_everything_and_resume_ends_it(
    ray_cluster: None, small_cache: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "search.run", "--runs", str(tmp_path), "--name", "cut"]
    options = ["--family", "features_mlp", "--cache", str(small_cache), "--max-epochs", "40", "--folds", "3"]
    run = RunFolder.at(tmp_path, "cut")
    with running(
        [*command, *options, "--trials", "30"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: run.folder.exists("trials.parquet"), what="a trial", alive=process)
        # As a node that is preempted does; the search takes it as Ctrl-C.
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert f"Resume with: python -m search.run --resume cut --runs {tmp_path}" in said
    assert (run.info().status, run.info().reason) == ("interrupted", "interrupted")
    before = run.trials().set_index("trial_id")
    kept = before[before["status"] != "RUNNING"]
    assert 0 < len(kept) < 30
    refused = search("--extend", "cut", "--trials", 3, "--runs", tmp_path)
    assert "--extend cut: the run is not finished; resume it by --resume cut" in refused.stderr

    result = search("--resume", "cut", "--max-concurrent", 2, "--runs", tmp_path)
    assert result.exit_code == 0, result.output
    assert run.info().status == "finished"
    after = run.trials().set_index("trial_id")
    assert len(after) == 30
    assert set(after["status"]) <= {"COMPLETE", "PRUNED"}
    assert after.loc[kept.index, "val_accuracy"].equals(kept["val_accuracy"])
    counts = run.history().groupby("trial_id")["epoch"].agg(["count", "max"])
    assert (counts["count"] == counts["max"]).all()


def test_a_search_all_of_whose_trials_failed_says_why_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder.at(tmp_path, "bad")
    run.write_info(make_info("bad"))
    row = dict.fromkeys(TRIAL_COLUMNS) | {"trial_id": "a", "status": "FAIL"}
    row["error"] = "Traceback (most recent call last):\n  ...\nValueError: no cache\n"
    run.write_tables(pd.DataFrame([row]), pd.DataFrame(columns=list(HISTORY_COLUMNS)))
    assert _summarise(run) == 1
    said = capsys.readouterr()
    assert said.out == "Run bad: 1 trials (1 FAIL).\n"
    assert said.err == "No trial has a score; the first failed by: ValueError: no cache\n"
    run.write_info(make_info("bad", status="interrupted"))
    assert _summarise(run) == 130


def test_two_searches_of_one_second_have_two_names(small_cache: Path) -> None:
    settings = SearchSettings.checked(family="features_mlp", cache=str(small_cache))
    assert len({make_plan(settings).info.name for _ in range(3)}) == 3


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, search.run\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'optuna', 'pandas', 'librosa', 'sklearn', 'pyarrow'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
