"""The example of "Adding a family" works as the page says: a new family is one new file and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "docs" / "examples" / "features_linear.py"
PACKAGES = ("data", "spaces", "search", "results")


def python(folder: Path, *arguments: str | Path) -> str:
    """Run a command in a copy of the project; return its output."""
    process = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_a_new_family_is_one_new_file(small_cache: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLE, project / "spaces")

    assert "features_linear" in python(project, "search.run", "--help")
    runs = ("--runs", tmp_path / "runs")
    budget = ("--trials", "2", "--max-epochs", "4", "--folds", "2", "--max-concurrent", "1")
    python(
        project,
        *("search.run", "--family", "features_linear", "--cache", small_cache),
        *("--name", "own", *budget, *runs),
    )
    assert "features_linear" in python(project, "results.leaderboard", *runs, "--format", "csv")
    python(project, "results.export", "own", *runs, "--out", tmp_path / "export")
    assert (tmp_path / "export" / "model.keras").is_file()
