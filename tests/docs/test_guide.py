"""The guide's worked example does what the guide says: a fifth family is a fifth file and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "features_linear.py"


def python(folder: Path, *arguments: str | Path) -> str:
    """Run a command in a copy of the project; give its output."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_family_of_ones_own(small_cache: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for package in ("data", "spaces", "search", "results"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLE, project / "spaces")

    assert "features_linear" in python(project, "search.run", "--help")
    runs = ("--runs", tmp_path / "runs")
    budget = ("--trials", "2", "--max-epochs", "4", "--folds", "2")
    python(
        project,
        *("search.run", "--family", "features_linear", "--cache", small_cache),
        *("--name", "own", *budget, *runs),
    )
    assert "features_linear" in python(project, "results.leaderboard", *runs, "--format", "csv")
    python(project, "results.export", "own", *runs, "--out", tmp_path / "export")
    assert (tmp_path / "export" / "model.keras").is_file()


def test_the_guide_names_files_that_are_there() -> None:
    guide = ROOT / "docs" / "guide.md"
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", guide.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (guide.parent / link).exists(), link
