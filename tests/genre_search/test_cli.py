"""The console command: all commands under one name, also in a folder of modules named like ours."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from genre_search.cli import main
from tests.support.collection import make_collection
from tests.support.paths import ROOT

COMMANDS = (
    "prepare",
    "inspect",
    "demo",
    "search",
    "leaderboard",
    "show",
    "report",
    "export",
    "predict",
    "serve",
    "runs",
    "dashboard",
)
SCRIPT = Path(sys.executable).parent / "genre-search"
TRAP = 'raise RuntimeError("a module of the user was imported")\n'


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder of the user's with modules, packages and folders named like ours and like the libraries."""
    folder = tmp_path / "crowded"
    for package in ("search", "results", "tensorflow"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(TRAP)
    for module in ("data.py", "random.py"):
        (folder / module).write_text(TRAP)
    (folder / "spaces").mkdir()
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_that_of_python_dash_m(name: str) -> None:
    module = {"search": "search.run"} | {
        command: f"data.{command}" if command in ("prepare", "inspect", "demo") else f"results.{command}"
        for command in COMMANDS
        if command != "search"
    }
    command = main.get_command(click.Context(main), name)
    assert command is importlib.import_module(module[name]).main
    help_text = CliRunner().invoke(main, [name, "--help"])
    assert help_text.exit_code == 0
    assert f"Usage: genre-search {name} " in help_text.output.replace("Usage: main", "Usage: genre-search")


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from genre_search.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted(set(sys.modules) & {'data', 'search', 'results', 'numpy', 'ray', 'tensorflow'}))"
    )
    result = run(ROOT, sys.executable, "-c", code)
    *text, imported = result.stdout.splitlines()
    assert imported == "[]"
    listed = [line.split()[0] for line in text[text.index("Commands:") + 1 :]]
    assert listed == list(COMMANDS)


def test_an_unknown_command_lists_the_known_ones() -> None:
    answer = CliRunner().invoke(main, ["train"])
    assert answer.exit_code == 2
    assert "no command 'train'; the commands are prepare, inspect, " in answer.output


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["inspect", "--cache", str(tmp_path)])
    assert answer.exit_code == 2
    assert answer.output.startswith("Error: ")
    assert len(answer.output.splitlines()) == 1


@pytest.mark.parametrize("hidden", ["data", "spaces"])
@pytest.mark.parametrize("module", ["search.run", "results.leaderboard"])
def test_python_dash_m_names_the_module_that_hides_ours(tmp_path: Path, module: str, hidden: str) -> None:
    (tmp_path / f"{hidden}.py").write_text(TRAP)
    result = run(tmp_path, sys.executable, "-m", module, "--help")
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1
    assert f"the package '{hidden}' of genre-search is hidden by " in result.stderr
    assert "use the command genre-search" in result.stderr


def check_prepare_search_and_leaderboard(script: Path, crowded: Path, cache: Path) -> None:
    """Prepare and search in Ray workers, then rank, from a folder whose modules hide ours."""
    make_collection(crowded / "music")
    prepared = run(crowded, script, "prepare", "--audio", "music", "--cache", "own", "--workers", "2")
    assert prepared.returncode == 0, prepared.stderr
    assert "6 of 6 files analysed" in prepared.stdout
    options = ["--trials", "2", "--max-epochs", "2", "--folds", "2", "--max-concurrent", "1"]
    searched = run(
        crowded, script, "search", "--family", "features_mlp", "--cache", cache, "--name", "own", *options
    )
    assert searched.returncode == 0, searched.stderr
    assert "Run own: 2 trials (2 COMPLETE)" in searched.stdout
    ranked = run(crowded, script, "leaderboard", "--format", "csv")
    assert ranked.returncode == 0, ranked.stderr
    assert len(ranked.stdout.splitlines()) == 3


@pytest.mark.slow
def test_an_editable_installation_works_among_modules_of_the_same_names(
    crowded: Path, small_cache: Path
) -> None:
    check_prepare_search_and_leaderboard(SCRIPT, crowded, small_cache)


@pytest.mark.slow
def test_a_plain_installation_works_among_modules_of_the_same_names(
    crowded: Path, small_cache: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for package in ("data", "spaces", "search", "results", "genre_search"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # The libraries, but not our editable installation: files ending in .pth count in the first folder only.
    libraries = {str(Path(module.__file__).parents[1]) for module in (click, pytest) if module.__file__}
    (site_packages / "libraries.pth").write_text("\n".join(libraries))
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    built = run(source, sys.executable, "-c", build, tmp_path)
    assert built.returncode == 0, built.stderr
    wheel = tmp_path / built.stdout.splitlines()[-1]
    install = ["install", "--quiet", "--no-index", "--no-deps", "--ignore-installed"]
    installed = run(tmp_path, environment / "bin/python", "-m", "pip", *install, wheel)
    assert installed.returncode == 0, installed.stderr
    imported = run(tmp_path, environment / "bin/python", "-c", "import data; print(data.__file__)")
    assert imported.stdout.strip() == str(site_packages / "data/__init__.py")
    check_prepare_search_and_leaderboard(environment / "bin/genre-search", crowded, small_cache)
