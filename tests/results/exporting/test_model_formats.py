"""Exports of every kind of input predict the same with Keras and, where it is missing, with onnxruntime."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import results
import spaces
from data.analysis.encoders.catalogue import find_encoders
from data.analysis.feature_names import FEATURES
from data.analysis.parameters import Melspec, Parameters, Picture
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task
from data.errors import EncoderError
from data.io.folder import Folder
from data.io.runtime import VARIABLE
from results.model import files
from results.model.ensemble import EnsembleConfig
from results.model.prediction import Prediction
from spaces.training.dense.scalers import fit_scaler
from spaces.training.family import Fitted
from tests.support.encoders import random_musicnn
from tests.support.exports import dense_network, write_export
from tests.support.light import light_python
from tests.support.paths import ROOT
from tests.support.processes import python
from tests.support.rows import GENRES, make_rows
from tests.support.tensors import BANDS, SIZE, write_tensor_cache

pytestmark = pytest.mark.slow

FEATURES_MLP, MELSPEC, IMAGE, TRANSFER, EMBEDDING, VOTE = (
    "features",
    "melspec",
    "image",
    "transfer",
    "embedding",
    "vote",
)
NAMES = (FEATURES_MLP, MELSPEC, IMAGE, TRANSFER, EMBEDDING, VOTE)
PARAMETERS = Parameters(
    segment_seconds=1.0,
    melspec=Melspec(seconds=0.5, n_mels=BANDS),
    image=Picture(seconds=1.0, size=SIZE, n_mels=BANDS),
)
SMALL: dict[str, Any] = {"blocks": 1, "filters": 4, "dense": 0, "batch_size": 8}


def tensor_network(cache: Cache, family_name: str, **changes: Any) -> Fitted:
    """The untrained network of a family."""
    family = spaces.get(family_name)
    rows = cache.rows(family.reads)
    task = search_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0))
    return family.learner({**family.BASELINE, **SMALL, **changes}, task, seed=0).fitted()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One export of each of `NAMES`."""
    import keras

    folder = tmp_path_factory.mktemp("exports")
    rows = make_rows(tracks=12).X
    scaled = Fitted(dense_network(len(FEATURES)), {"scaler": fit_scaler("quantile", rows)})
    write_export(
        folder / FEATURES_MLP,
        "features_mlp",
        scaled,
        rows,
        reads="features",
        parameters=Parameters(segment_seconds=1.0),
        temperature=1.7,
    )
    cache = Cache.open(write_tensor_cache(folder / "cache"))
    bands = tensor_network(cache, "melspec_cnn", standardise="band", pieces=2)
    write_export(
        folder / MELSPEC,
        "melspec_cnn",
        bands,
        cache.rows("melspec").X[:8],
        reads="melspec",
        parameters=PARAMETERS,
        temperature=1.2,
    )
    # The network resizes its images.
    colours = tensor_network(cache, "image_cnn", scale="standard", size=24)
    images = cache.rows("image").X[:8]
    write_export(folder / IMAGE, "image_cnn", colours, images, reads="image", parameters=PARAMETERS)
    layers = keras.layers
    backbone = keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(GENRES), "softmax"),
        ]
    )
    write_export(
        folder / TRANSFER,
        "vgg16_transfer",
        Fitted(backbone, {}),
        images,
        reads="image",
        parameters=PARAMETERS,
    )
    random_musicnn(folder / "weights")
    (encoder,) = find_encoders(["musicnn"], weights=folder / "weights")
    encoder.copy_to(Folder.at(folder / "encoders" / "musicnn"))
    n_inputs = len(FEATURES) + encoder.embedding.dimension
    vectors = np.random.default_rng(0).normal(size=(12, n_inputs))
    write_export(
        folder / EMBEDDING,
        "embedding_mlp",
        Fitted(dense_network(n_inputs), {"scaler": fit_scaler("standard", vectors)}),
        vectors,
        reads="features+embedding-musicnn",
        parameters=Parameters(segment_seconds=1.0, embeddings={"musicnn": encoder.embedding}),
        encoders=folder / "encoders",
    )
    for number, member in enumerate((FEATURES_MLP, MELSPEC), start=1):
        shutil.copytree(folder / member, folder / VOTE / f"{number}-{member}")
    vote = EnsembleConfig(
        members=["1-features", "2-melspec"],
        synthetic=False,
        cache_fingerprint="0" * 64,
        split_fingerprint="0" * 64,
        created="2026-01-01T00:00:00+00:00",
        weights=[0.3, 0.7],
        temperature=1.3,
    )
    files.write_json(folder / VOTE, files.CONFIG, vote.model_dump(mode="json"))
    files.write_json(folder / VOTE, files.LABELS, list(GENRES))
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path, song: Path) -> dict[str, Prediction]:
    """The predictions of Keras."""
    return {name: results.load(folder / name).predict(song) for name in NAMES}


def assert_same(probabilities: dict[str, float], expected: dict[str, float]) -> None:
    assert probabilities == pytest.approx(expected, abs=1e-4)
    assert len({round(probability, 3) for probability in expected.values()}) > 1


def test_without_tensorflow_every_export_predicts_the_same(
    folder: Path, song: Path, expected: dict[str, Prediction]
) -> None:
    code = (
        "import json, results\n"
        f"songs = {{name: results.load({str(folder)!r} + '/' + name).predict({str(song)!r})"
        f" for name in {NAMES!r}}}\n"
        "print(json.dumps({name: [song.start_s, song.segments, song.probabilities]"
        " for name, song in songs.items()}))\n"
    )
    done = light_python(code)
    assert done.returncode == 0, done.stderr
    for name, (start_s, segments, probabilities) in json.loads(done.stdout).items():
        assert start_s == pytest.approx(expected[name].start_s)
        assert_same(probabilities, expected[name].probabilities)
        for segment, expected_segment in zip(segments, expected[name].segments, strict=True):
            assert segment == pytest.approx(expected_segment, abs=1e-4)


def test_onnx_is_used_beside_keras_if_it_is_selected(
    folder: Path, song: Path, expected: dict[str, Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.load(folder / EMBEDDING).network.file == "model.keras"
    monkeypatch.setenv(VARIABLE, "onnx")
    model = results.load(folder / EMBEDDING)
    assert model.network.file == "model.onnx"
    assert_same(model.predict(song).probabilities, expected[EMBEDDING].probabilities)


def test_an_encoder_without_an_onnx_form_is_reported(folder: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(folder / EMBEDDING, tmp_path / "export"))
    (export / "encoders" / "musicnn" / "musicnn.onnx").unlink()
    done = light_python(
        f"from results.predict import main; main([{str(export)!r}, 'song.wav'])",
    )
    assert done.returncode == 2
    assert "musicnn.onnx: missing; without TensorFlow the encoder needs its ONNX form" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    shutil.rmtree(export / "encoders")
    with pytest.raises(EncoderError, match="the files of encoder 'musicnn' are missing"):
        results.load(export)


def test_an_onnx_file_describes_itself(folder: Path) -> None:
    import onnxruntime

    inputs = {FEATURES_MLP: ["n", 57], MELSPEC: ["n", BANDS, 21], IMAGE: ["n", SIZE, SIZE, 3]}
    for name, shape in inputs.items():
        session = onnxruntime.InferenceSession(str(folder / name / "model.onnx"))
        (model_input,), (output,) = session.get_inputs(), session.get_outputs()
        assert (model_input.name, model_input.shape, model_input.type) == (name, shape, "tensor(float)")
        assert (output.name, output.shape) == ("probabilities", ["n", len(GENRES)])
        about = session.get_modelmeta().custom_metadata_map
        assert json.loads(about["genres"]) == list(GENRES)
        assert (about["sample_rate"], about["segment_seconds"], about["export_format"]) == ("22050", "1", "1")
        assert json.loads(about["preprocess"]) == json.loads(
            (folder / name / "preprocess.json").read_text(encoding="utf-8")
        )
        assert float(about["temperature"]) == results.load(folder / name).config.temperature
    encoder = onnxruntime.InferenceSession(str(folder / EMBEDDING / "encoders" / "musicnn" / "musicnn.onnx"))
    assert [node.name for node in (*encoder.get_inputs(), *encoder.get_outputs())] == ["log_mel", "vectors"]


def test_the_example_of_the_page_uses_an_export_without_this_project(
    folder: Path, song: Path, expected: dict[str, Prediction]
) -> None:
    page = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
    (example,) = (
        code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "onnxruntime" in code
    )
    assert set(re.findall(r"^(?:import|from) (\w+)", example, re.MULTILINE)) <= {
        *("json", "librosa", "numpy", "onnxruntime"),
    }
    assert "exports/cnn/model.onnx" in example
    assert "song.mp3" in example
    example = example.replace("exports/cnn/model.onnx", str(folder / MELSPEC / "model.onnx"))
    done = python(example.replace("song.mp3", str(song)))
    assert done.returncode == 0, done.stderr
    genre, percent, _ = done.stdout.split()
    assert genre == expected[MELSPEC].genre
    assert float(percent) == pytest.approx(100 * expected[MELSPEC].probabilities[genre], abs=3)
