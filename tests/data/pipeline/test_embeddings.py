"""Embeddings in a cache: extracted with the features, added later, interrupted, changed, refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner, Result
from onnx import helper

from data import inspect, prepare
from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import find_encoders, open_encoder
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file, row_shape
from data.audio.decode import load
from data.cache.cache import Cache
from data.errors import CacheError, EncoderError
from tests.support.collection import SR, clip, make_collection
from tests.support.encoders import DIMENSION, RATE, frames_of, random_musicnn, write_onnx
from tests.support.paths import ROOT

VECTOR = 2 * DIMENSION
KIND = "embedding-small"


def run(audio: Path, cache: Path, *options: object) -> Result:
    command = ["--audio", audio, "--cache", cache, "--workers", 1, *options]
    return CliRunner().invoke(prepare.main, [str(word) for word in command])


def prepared(audio: Path, cache: Path, *options: object) -> Cache:
    result = run(audio, cache, *options)
    assert result.exit_code == 0, result.output
    return Cache.open(cache)


def encoder(folder: Path, name: str = "small", **options: object) -> Path:
    return write_onnx(folder / f"{name}.onnx", metadata={"sample_rate": str(RATE)}, **options)  # type: ignore[arg-type]


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    return make_collection(tmp_path / "audio", tracks=3)


def test_a_segment_has_the_pooled_vectors_of_its_own_samples(tmp_path: Path, audio: Path) -> None:
    cache = prepared(audio, tmp_path / "cache", "--embedding", encoder(tmp_path), "--segment-seconds", "0.75")
    rows = cache.rows(KIND)
    assert rows.X.shape == (12, VECTOR)
    assert rows.X.dtype == np.float32
    assert rows.blocks == ((KIND, VECTOR),)
    y = load(audio / rows.track_id[3], sample_rate=RATE, min_samples=1).y
    second = frames_of(y[6000:])
    expected = np.concatenate([second.mean(axis=0), second.std(axis=0)])
    np.testing.assert_allclose(rows.X[3], expected, rtol=1e-3, atol=1e-3)


def test_the_cache_stores_the_encoder_and_its_files(tmp_path: Path, audio: Path) -> None:
    path = encoder(tmp_path / "encoder")
    (tmp_path / "encoder" / "LICENSE.txt").write_text("Public domain.")
    cache = prepared(audio, tmp_path / "cache", "--embedding", path)
    embedding = json.loads((tmp_path / "cache" / "cache.json").read_text())["parameters"]["embeddings"]
    assert embedding["small"].keys() == {
        *("encoder", "sha256", "sample_rate", "patch_seconds", "layer", "pooling", "dimension")
    }
    files = tmp_path / "cache" / ENCODERS / "small"
    assert sorted(file.name for file in files.iterdir()) == ["LICENSE.txt", "encoder.onnx"]
    table = pq.read_table(next((tmp_path / "cache" / KIND).iterdir()))
    assert table.column_names == ["track_id", "segment", "label", "group", "tensor"]
    assert cache.encoder_weights == {"small": embedding["small"]["sha256"]}
    path.unlink()
    soundfile.write(audio / "genre1" / "new.wav", clip(7), SR)
    assert len(prepared(audio, tmp_path / "cache").rows(KIND).X) == 7


def test_features_and_embeddings_are_joined(tmp_path: Path, audio: Path) -> None:
    other = encoder(tmp_path, "a-other")
    options = ["--embedding", encoder(tmp_path), "--embedding", other]
    cache = prepared(audio, tmp_path / "cache", *options)
    kind = cache.kind_of("embedding")
    assert kind == "features+embedding-a-other+embedding-small"
    rows = cache.rows(kind)
    assert rows.blocks == (("features", 57), ("embedding-a-other", VECTOR), (KIND, VECTOR))
    np.testing.assert_array_equal(rows.X[:, :57], cache.features.X.astype(np.float32))
    np.testing.assert_array_equal(rows.X[:, -VECTOR:], cache.rows(KIND).X)
    parameters = Parameters.model_validate(cache.info.parameters)
    assert row_shape(parameters, kind) == rows.X.shape[1:]
    X, start_s = of_file(
        audio / rows.track_id[2], parameters, kind, encoders=str(tmp_path / "cache" / ENCODERS)
    )
    np.testing.assert_allclose(X[0], rows.X[2], rtol=1e-3, atol=1e-3)
    assert start_s.tolist() == [0.0]


def test_adding_an_embedding_keeps_the_content_of_the_cache(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (audio / "genre0" / "text.wav").write_text("words")
    melspec = ["--melspec", "--window-seconds", "0.5"]
    before = prepared(audio, tmp_path / "cache", *melspec, "--embedding", encoder(tmp_path))
    kinds = ("features", "melspec", KIND)
    values = {kind: np.array(before.rows(kind).X[np.arange(6)]) for kind in kinds}
    with monkeypatch.context() as patch:
        # Inputs in the cache are copied, because extracting them again would be most of the work.
        patch.delattr("data.analysis.segments.extract")
        patch.setattr("data.analysis.segments.tensors_of", lambda *_: {})
        after = prepared(audio, tmp_path / "cache", "--embedding", encoder(tmp_path, "further"))
    for kind in kinds:
        np.testing.assert_array_equal(after.rows(kind).X[np.arange(6)], values[kind])
        assert after.input_fingerprint(kind) == before.input_fingerprint(kind)
    np.testing.assert_array_equal(after.rows("embedding-further").X, values[KIND])
    assert after.collection == before.collection
    assert after.info.fingerprint != before.info.fingerprint


def test_an_embedding_is_added_by_the_run_after_a_kill(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepared(audio, tmp_path / "cache")
    options = ["--embedding", encoder(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr("data.pipeline.merge.write_info", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run(audio, tmp_path / "cache", *options).exit_code == 1
    assert Cache.open(tmp_path / "cache").info == before.info
    result = run(audio, tmp_path / "cache", *options)
    assert "0 of 6 files analysed" in result.output
    assert Cache.open(tmp_path / "cache").rows(KIND).X.shape == (6, VECTOR)


def test_another_encoder_of_the_same_name_is_refused(tmp_path: Path, audio: Path) -> None:
    prepared(audio, tmp_path / "cache", "--embedding", encoder(tmp_path))
    other = encoder(tmp_path / "other", audio=[1, 400], vectors=[1, DIMENSION])
    result = run(audio, tmp_path / "cache", "--embedding", other)
    assert result.exit_code == 2
    assert "was made with other parameters (embeddings.small.sha256" in result.output.replace("\n", " ")


def test_audio_on_which_an_encoder_fails_is_skipped_with_its_reason(tmp_path: Path, audio: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["audio", "matrix"], ["product"]),
        helper.make_node("Reciprocal", ["product"], ["vectors"]),
    ]
    path = encoder(tmp_path, nodes=nodes)
    # Silence, and with it division by zero.
    soundfile.write(audio / "genre0" / "silence.wav", np.zeros(SR, np.int16), SR)
    result = run(audio, tmp_path / "cache", "--embedding", path)
    assert "skipped 1: the encoder 'small' fails, such as" in " ".join(result.output.split())
    manifest = pq.read_table(tmp_path / "cache" / "manifest.parquet").to_pylist()
    (reason,) = [row["reason"] for row in manifest if row["status"] == "skipped"]
    assert "output is not finite" in reason
    strict = run(audio, tmp_path / "strict", "--embedding", path, "--strict")
    assert strict.exit_code == 2
    assert "silence.wav" in strict.output.replace("\n", "")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--embedding", "vggish"], "--embedding vggish: unknown; use musicnn or a FILE.onnx"),
        (["--embedding", "none.onnx"], "no such file"),
        (["--embedding-rate", "16000"], "does not go with encoders other than ONNX files"),
        (["--embedding-weights", "here"], "does not go with encoders other than musicnn"),
        (["--embedding", "musicnn", "--embedding-weights", "nowhere"], "has no MSD_musicnn.index"),
    ],
)
def test_bad_options_are_reported_in_one_line(
    tmp_path: Path, audio: Path, options: list[str], reason: str
) -> None:
    result = run(audio, tmp_path / "cache", *options)
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())
    assert not (tmp_path / "cache" / "cache.json").exists()


@pytest.mark.parametrize("name", ["features", "musicnn", "..."])
def test_names_of_other_inputs_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EncoderError, match="rename the file"):
        find_encoders([str(encoder(tmp_path, name))])


def test_two_encoders_with_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="two encoders are called 'small'"):
        find_encoders([str(encoder(tmp_path)), str(encoder(tmp_path / "other"))])


def test_replaced_files_are_detected(tmp_path: Path) -> None:
    (encoder_files,) = find_encoders([str(encoder(tmp_path))])
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copy(encoder(tmp_path / "other", opset=18), folder / "encoder.onnx")
    with pytest.raises(EncoderError, match="have changed"):
        open_encoder(folder, encoder_files.name, encoder_files.embedding)


def test_a_cache_without_embeddings_names_the_command_that_adds_them(tmp_path: Path, audio: Path) -> None:
    cache = prepared(audio, tmp_path / "cache")
    with pytest.raises(CacheError, match=r"has no embeddings; make them with .* --embedding musicnn'"):
        cache.kind_of("embedding")


def test_musicnn_reads_weights_from_a_folder(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    random_musicnn(tmp_path / "weights")
    weights = ["--embedding-weights", tmp_path / "weights"]
    cache = prepared(audio, tmp_path / "cache", "--embedding", "musicnn", *weights)
    rows = cache.rows("embedding-musicnn")
    assert rows.X.shape == (2, 3012)
    assert (tmp_path / "cache" / ENCODERS / "musicnn" / "LICENSE.md").is_file()
    command = ["--music-tags", str(audio / rows.track_id[0]), *map(str, weights)]
    result = CliRunner().invoke(inspect.main, command)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 50
    as_json = CliRunner().invoke(inspect.main, [*command, "--json"])
    activations = list(json.loads(as_json.output)["tags"].values())
    assert activations == sorted(activations, reverse=True)


@pytest.mark.slow
def test_embeddings_by_workers_and_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    audio = make_collection(tmp_path / "audio", tracks=24)
    path = encoder(tmp_path)
    local = prepared(audio, tmp_path / "cache", "--embedding", path)
    uri = f"{bucket}/embedded"
    options = ["--audio", audio, "--cache", uri, "--workers", 2, "--embedding", path]
    # In a new process, because the Ray of this process may have started before the bucket's server.
    command = [sys.executable, "-m", "data.prepare", *map(str, options)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    remote = Cache.open(uri)
    assert remote.info.fingerprint == local.info.fingerprint
    assert remote.rows(KIND).track_id.tolist() == local.rows(KIND).track_id.tolist()
    np.testing.assert_allclose(remote.rows(KIND).X, local.rows(KIND).X, rtol=1e-3, atol=1e-3)
