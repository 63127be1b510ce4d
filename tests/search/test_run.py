"""The command ``python -m search.run``."""

from __future__ import annotations

import os
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
from search.storage.columns import HISTORY_COLUMNS, TRIAL_COLUMNS
from search.storage.run_folder import RunFolder
from tests.support.error_lines import error_line
from tests.support.paths import ROOT
from tests.support.runs import make_info
from tests.support.softmax import Softmax
from tests.support.waiting import running, wait_until


def search(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_with_all_options(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("inputs: {high: 40}\n")
    result = search(
        *("--family", "softmax", "--cache", small_cache, "--name", "cli", "--trials", 3),
        *("--max-epochs", 4, "--folds", 2, "--test-fraction", 0.25, "--searcher", "random"),
        *("--scheduler", "asha", "--grace-period", 0.25, "--reduction-factor", 2, "--time-budget", 900),
        *("--brackets", 2, "--patience", 3, "--target", 1, "--stagnation", 50),
        *("--set", "noise=0.1", "--set", "decay=false", "--space", space),
        *("--max-concurrent", 1, "--cpus-per-trial", 0.5, "--gpus-per-trial", 0, "--seed", 5),
        "--no-portfolio",
        *("--runs", tmp_path / "runs"),
    )
    assert result.exit_code == 0, result.output
    run = RunFolder.at(tmp_path / "runs", "cli")
    info = run.info()
    assert run.trials()["config.noise"].tolist() == [0.0, 0.1, 0.1]
    assert run.trials()["config.inputs"].iloc[1:].max() <= 40
    assert (info.settings["brackets"], info.settings["patience"], info.settings["stagnation"]) == (2, 3, 50)
    assert (info.trials, info.max_epochs, info.folds, info.seed, info.n_test) == (3, 4, 2, 5, 15)
    assert info.settings["searcher"] == "random"
    assert info.portfolio == []
    assert info.settings["cpus_per_trial"] == 0.5
    assert re.search(r"^Best: cli:\d, validation accuracy \d+\.\d % \[\d+\.\d, \d+", result.output, re.M)
    assert re.search(r"45 tracks validated, 15 in the locked test set\.", result.output)
    assert re.search(r"^Settings: \w+=", result.output, re.M)
    assert f"python -m results.export cli --runs {tmp_path}/runs --out" in result.output
    assert "3/3 trials" in result.stderr


def test_a_partition_from_a_file(small_cache: Path, tmp_path: Path) -> None:
    parts = ["train", "train", "valid", "test"]
    lines = [
        f"{genre}/{genre}.{number:05d},{parts[number % 4]}"
        for genre in ("blues", "disco", "metal")
        for number in range(20)
    ]
    partition = tmp_path / "partition.csv"
    partition.write_text("\n".join(["track_id,split", *lines]))
    settings = SearchSettings.checked(
        family="features_mlp", cache=str(small_cache), runs=str(tmp_path), splits=str(partition)
    )
    info = make_plan(settings).info
    assert (info.folds, info.n_validated, info.n_test, info.test_fraction) == (1, 15, 15, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_bad_input_prints_one_line_and_writes_nothing(
    ray_cluster: None, small_cache: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    runs = tmp_path / "runs"
    ranges = tmp_path / "ranges.yaml"
    ranges.write_text("layers: {low: 3, high: 3}\n")
    paths = {"SMALL": str(small_cache), "LAYERS": str(ranges)}
    command = [paths.get(argument, argument) for argument in arguments]
    result = search(*command, "--runs", runs)
    assert result.exit_code == 2, result.output
    assert message in error_line(result.stderr)
    assert not runs.exists()


def test_debug_raises_the_original_exception(tmp_path: Path) -> None:
    result = search("--family", "features_mlp", "--cache", tmp_path, "--debug")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "CacheError"


@pytest.mark.slow
def test_an_address_without_a_cluster(small_cache: Path, tmp_path: Path) -> None:
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
def test_an_interrupted_search_keeps_its_trials_and_resumes(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.support.softmax", "--runs", str(tmp_path), "--name", "cut"]
    options = ["--family", "softmax", "--cache", str(small_cache), "--max-epochs", "40", "--folds", "3"]
    run = RunFolder.at(tmp_path, "cut")
    with running(
        [*command, *options, "--trials", "30"],
        cwd=ROOT,
        env={**os.environ, "EPOCH_SECONDS": "0.01"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: run.folder.exists("trials.parquet"), what="a trial", alive=process)
        # A preempted node sends SIGTERM; the search handles it like Ctrl-C.
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert f"Resume with: python -m search.run --resume cut --runs {tmp_path}" in output
    assert (run.info().status, run.info().reason) == ("interrupted", "interrupted")
    before = run.trials().set_index("trial_id")
    kept = before[before["status"] != "RUNNING"]
    assert 0 < len(kept) < 30
    refused = search("--extend", "cut", "--trials", 3, "--runs", tmp_path)
    assert "--extend cut: the run is not finished; resume it with --resume cut" in refused.stderr

    result = search("--resume", "cut", "--max-concurrent", 2, "--runs", tmp_path)
    assert result.exit_code == 0, result.output
    assert run.info().status == "finished"
    after = run.trials().set_index("trial_id")
    assert len(after) == 30
    assert set(after["status"]) <= {"COMPLETE", "PRUNED"}
    assert after.loc[kept.index, "val_accuracy"].equals(kept["val_accuracy"])
    counts = run.history().groupby("trial_id")["epoch"].agg(["count", "max"])
    assert (counts["count"] == counts["max"]).all()


def test_a_search_without_a_score_reports_the_first_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder.at(tmp_path, "bad")
    run.write_info(make_info("bad"))
    row = dict.fromkeys(TRIAL_COLUMNS) | {"trial_id": "a", "status": "FAIL"}
    row["error"] = "Traceback (most recent call last):\n  ...\nValueError: no cache\n"
    run.write_tables(pd.DataFrame([row]), pd.DataFrame(columns=list(HISTORY_COLUMNS)))
    assert _summarise(run) == 1
    printed = capsys.readouterr()
    assert printed.out == "Run bad: 1 trial (1 FAIL).\n"
    assert printed.err == "No trial has a score; the first failed by: ValueError: no cache\n"
    run.write_info(make_info("bad", status="interrupted"))
    assert _summarise(run) == 130


def test_searches_in_the_same_second_get_different_names(small_cache: Path) -> None:
    settings = SearchSettings.checked(family="features_mlp", cache=str(small_cache))
    assert len({make_plan(settings).info.name for _ in range(3)}) == 3


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys, search.run\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'optuna', 'pandas', 'librosa', 'sklearn', 'pyarrow'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
