"""A search on embeddings, from audio to an export that runs without the cache."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data import prepare
from data.cache.cache import Cache
from results.evaluation.trials import find_trial
from results.exporting.writer import export_trial
from results.model.classifier import Classifier
from results.ranking.boards import boards
from search import SearchSettings, run_search
from search.api import extend_search
from search.storage.run_folder import RunFolder
from tests.support.collection import make_collection
from tests.support.encoders import RATE, write_onnx


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("collection") / "audio", tracks=10)


def prepare_cache(audio: Path, cache: Path, encoder: Path) -> None:
    command = ["--audio", audio, "--cache", cache, "--workers", 1, "--embedding", encoder]
    result = CliRunner().invoke(prepare.main, [str(word) for word in command])
    assert result.exit_code == 0, result.output


def write_encoder(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "LICENSE").write_text("For tests.")
    return write_onnx(folder / f"{name}.onnx", metadata={"sample_rate": str(RATE)})


@pytest.fixture(scope="module")
def cache(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    prepare_cache(audio, folder / "cache", write_encoder(folder / "encoder", "small"))
    return folder / "cache"


@pytest.fixture(scope="module")
def run(ray_cluster: None, cache: Path) -> RunFolder:
    settings = SearchSettings.checked(
        family="embedding_mlp",
        cache=str(cache),
        runs=str(cache.parent / "runs"),
        name="embedded",
        trials=2,
        max_epochs=3,
        folds=2,
        seed=1,
        max_concurrent=1,
        set={"inputs": "small+features"},
    )
    return run_search(settings)


def test_a_search_records_its_inputs(run: RunFolder, cache: Path) -> None:
    info = run.info()
    opened = Cache.open(cache)
    assert info.weights == opened.encoder_weights
    assert list(info.cache.inputs) == ["features", "embedding-small"]
    assert info.cache.collection == opened.collection
    assert run.trials()["config.inputs"].tolist() == ["small", "small+features"]
    assert run.trials()["status"].isin(["COMPLETE", "PRUNED"]).all()


def test_an_export_contains_its_encoder_and_works_after_a_move(
    run: RunFolder, audio: Path, tmp_path: Path
) -> None:
    trials = {trial: find_trial(run, trial) for trial in run.trials()["trial_id"]}
    trial_with_both_inputs = next(
        trial for trial in trials.values() if trial.config["inputs"] == "small+features"
    )
    export_trial(
        trial_with_both_inputs,
        tmp_path / "made",
        runs=run.folder.path.rpartition("/")[0],
        formats=("onnx",),
    )
    place = tmp_path / "moved"
    (tmp_path / "made").rename(place)
    assert sorted(file.name for file in (place / "encoders" / "small").iterdir()) == [
        "LICENSE",
        "encoder.onnx",
    ]
    preprocess = json.loads((place / "preprocess.json").read_text())
    assert preprocess["reads"] == "features+embedding-small"
    assert "encoders/small" in (place / "README.md").read_text()
    classifier = Classifier.load(place)
    cached = Cache.open(run.info().cache.uri).rows("features+embedding-small")
    prediction = classifier.predict(audio / cached.track_id[0])
    expected = classifier.predict_rows(cached.X[:1])[0]
    probabilities = [prediction.probabilities[label] for label in classifier.labels]
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)


def test_an_export_without_its_encoder_fails_with_one_line(run: RunFolder, tmp_path: Path) -> None:
    baseline = find_trial(run, run.trials()["trial_id"][0])
    export_trial(baseline, tmp_path / "export", runs=run.folder.path.rpartition("/")[0])
    preprocess = json.loads((tmp_path / "export" / "preprocess.json").read_text())
    assert (preprocess["reads"], preprocess["columns"]) == ("embedding-small", [])
    shutil.rmtree(tmp_path / "export" / "encoders")
    with pytest.raises(Exception, match="the files of encoder 'small' are missing"):
        Classifier.load(tmp_path / "export")


@pytest.mark.slow
def test_a_run_is_extended_after_an_encoder_was_added_to_its_cache(
    ray_cluster: None, run: RunFolder, audio: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(Path(run.folder.path).parent, tmp_path / "runs"))
    place = Path(shutil.copytree(run.info().cache.uri, tmp_path / "cache"))
    prepare_cache(audio, place, write_encoder(tmp_path / "encoder", "further"))
    extended = extend_search("embedded", trials=1, runs=str(runs), cache=str(place), max_concurrent=1)
    assert len(extended.trials()) == 3
    assert list(extended.info().cache.inputs) == ["features", "embedding-small"]
    settings = {**run.info().settings, "name": "later", "cache": str(place), "runs": str(runs), "trials": 1}
    later = run_search(SearchSettings.checked(**settings | {"set": {}}))
    assert list(later.info().cache.inputs) == ["features", "embedding-further", "embedding-small"]
    ranked, _ = boards(str(runs))
    assert len(ranked) == 1
