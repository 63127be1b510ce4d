"""Small real runs: a cache with three genres, and run folders of learners trained for a few epochs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data.cache.cache import Cache
from results.evaluation.trials import find_trial
from results.exporting.model_formats import write_model_formats
from results.exporting.writer import export_trial
from results.model import files
from results.model.network import KERAS_FILE
from search.storage.run_folder import RunFolder
from tests.support.rows import make_rows, write_cache
from tests.support.runs import AVERAGED, WIDE, make_run


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(
        tmp_path_factory.mktemp("data") / "cache", make_rows(tracks=12, segments=2), synthetic=True
    )


@pytest.fixture(scope="session")
def other_cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of other data, with another fingerprint and not synthetic."""
    folder = write_cache(tmp_path_factory.mktemp("other") / "cache", make_rows(tracks=12, seed=1))
    content = json.loads((folder / "cache.json").read_text())
    (folder / "cache.json").write_text(json.dumps(content | {"fingerprint": "1" * 64}))
    return folder


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """Runs that no test changes.

    ``first`` has a held-out test set, a stopped and a failed trial; ``again`` is a second run on the same
    data and split; ``untested`` has no test set.
    """
    runs = tmp_path_factory.mktemp("runs")
    cache = Cache.open(cache_dir)
    make_run(runs, cache, "first", [{}, WIDE, {"status": "PRUNED"} | AVERAGED, {"status": "FAIL"}])
    make_run(runs, cache, "again", [{}, AVERAGED], created="2026-01-02T00:00:00+00:00")
    make_run(runs, cache, "untested", [{}, WIDE], test_fraction=0.0)
    return runs


@pytest.fixture
def runs(made_runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs for tests that change them."""
    return Path(shutil.copytree(made_runs, tmp_path / "runs"))


@pytest.fixture(scope="session")
def exported(made_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the best trial of ``first``, which no test changes."""
    folder = tmp_path_factory.mktemp("exports")
    runs = Path(shutil.copytree(made_runs, folder / "runs"))
    export_trial(find_trial(RunFolder.at(runs, "first")), folder / "best", runs=str(runs))
    return folder / "best"


@pytest.fixture(scope="session")
def onnx_exported(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export with its ONNX form."""
    import keras

    folder = Path(shutil.copytree(exported, tmp_path_factory.mktemp("onnx") / "best"))
    write_model_formats(
        keras.saving.load_model(folder / KERAS_FILE),
        folder,
        make_rows(tracks=4).X,
        formats=("onnx",),
        config=files.read_config(folder, files.BundleConfig),
        preprocess=files.read_preprocess(folder),
        labels=files.read_labels(folder),
    )
    return folder


@pytest.fixture
def bundle_copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export for tests that damage it."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a noisy tone."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    time = np.arange(2 * 22050) / 22050
    y = 0.4 * np.sin(2 * np.pi * 220 * time) + 0.05 * rng.normal(size=len(time))
    path = tmp_path_factory.mktemp("audio") / "song.wav"
    soundfile.write(path, y.astype(np.float32), 22050)
    return path
