"""Common properties of all commands of results."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

HEAVY = ("tensorflow", "keras", "pandas", "pyarrow", "librosa", "sklearn", "scipy", "matplotlib", "ray")


@pytest.mark.parametrize("name", ["leaderboard", "show", "report", "export", "predict", "serve", "dashboard"])
def test_help_needs_no_heavy_import(name: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--help']\n"
        "try:\n"
        f"    runpy.run_module('results.{name}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        f"    print(end.code, sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Usage:" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 []"


def test_results_take_of_the_search_only_when_a_scheduler_decides() -> None:
    for file in (ROOT / "results").rglob("*.py"):
        text = file.read_text()
        assert "import search" not in text, file
        others = text.replace("from search.tune.schedulers import", "").replace("from search.storage", "")
        assert "from search" not in others, file


def test_a_report_does_not_import_ray() -> None:
    code = "import sys, results.reporting.page; print('ray' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
