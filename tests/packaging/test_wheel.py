"""The wheel works away from the checkout, in a new environment with the libraries of predicting only."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import results
from data.analysis.feature_names import FEATURES
from data.analysis.parameters import Parameters
from spaces.training.dense.scalers import fit_scaler
from spaces.training.family import Fitted
from tests.support.collection import clip
from tests.support.exports import dense_network, write_export
from tests.support.paths import ROOT
from tests.support.rows import make_rows

pytestmark = pytest.mark.slow

PACKAGES = ("data", "genre_search", "results", "search", "spaces")
MAX_BYTES = 800_000_000
MAX_SECONDS = 3.0
"""Processor time in which the first answer must be there."""


def run(folder: Path, *command: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without what the environment of the tests adds to Python's path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, because building writes into their folder."""
    project = tmp_path_factory.mktemp("project")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    run(project, sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", ".")
    (wheel,) = (project / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a new environment with the wheel."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    lock = ROOT / "requirements-predict.lock"
    run(folder, *pip, "--requirement", lock, f"genre-search[serve] @ {wheel.as_uri()}")
    return folder / "bin"


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "song.flac"
    soundfile.write(path, clip(1, 30.0), 22050)
    return path


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = make_rows(tracks=12).X
    fitted = Fitted(dense_network(len(FEATURES)), {"scaler": fit_scaler("standard", rows)})
    folder = tmp_path_factory.mktemp("exports") / "best"
    return write_export(
        folder, "features_mlp", fitted, rows, reads="features", parameters=Parameters(), temperature=1.3
    )


def test_the_wheel_contains_every_file_of_the_packages(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert packed == sources


def test_the_environment_is_small_and_has_no_library_of_the_search(binaries: Path) -> None:
    listed = json.loads(run(binaries, binaries / "python", "-m", "pip", "list", "--format", "json").stdout)
    names = {package["name"].lower() for package in listed}
    assert {"genre-search", "onnxruntime"} <= names
    assert not names & {"tensorflow", "keras", "ray", "optuna", "librosa", "pandas", "pyarrow", "matplotlib"}
    size = sum(file.lstat().st_size for file in binaries.parent.rglob("*") if file.is_file())
    assert size < MAX_BYTES


def test_an_export_predicts_like_keras_soon_after_the_start(binaries: Path, export: Path, song: Path) -> None:
    command = (binaries / "python", "-m", "results.predict", export, song, "--json")
    run(song.parent, *command)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(song.parent, *command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MAX_SECONDS
    expected = results.load(export).predict(song)
    assert json.loads(done.stdout)["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    assert not np.allclose(list(expected.probabilities.values()), 1 / 3, atol=1e-3)
    assert "results" not in {file.name for file in song.parent.iterdir()}


def test_an_export_is_served(binaries: Path, export: Path, tmp_path: Path) -> None:
    command = [str(binaries / "genre-search"), "serve", str(export), "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split(" on ")[1].split()[0]
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"<html" in page.read()
        finally:
            server.terminate()


def test_a_search_names_the_extra_to_install(binaries: Path, tmp_path: Path) -> None:
    done = run(tmp_path, binaries / "genre-search", "search", "--family", "features_mlp", status=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: tensorflow, ray, optuna and ")
    assert line.endswith(" not installed; run: pip install 'genre-search[search]'")
    assert not list(tmp_path.iterdir())
