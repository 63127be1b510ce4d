from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import ExportError, SettingsError
from data.io.keras_import import import_keras
from results.exporting import formats
from results.exporting.formats import check_available, write_default_formats, write_formats
from results.exporting.onnx_description import OnnxDescription

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Any:
    """A small network with the layers that converters do not support by default."""
    import_keras()
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, "softmax"),
        ]
    )


def test_every_format_has_the_outputs_of_keras(network: Any, tmp_path: Path) -> None:
    differences = write_formats(network, tmp_path, ("onnx", "tflite", "savedmodel"), X)
    assert set(differences) == {"onnx", "tflite", "savedmodel"}
    assert max(differences.values()) < 1e-5
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.tflite", "savedmodel"}

    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: X[:2]})[0]
    assert outputs == pytest.approx(network.predict(X[:2], verbose=0), abs=1e-5)


def test_a_format_with_different_outputs_is_refused(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(formats._WRITERS, "onnx", lambda *_: np.full((5, 3), 1 / 3))
    with pytest.raises(ExportError, match="--format onnx: the outputs differ from those of Keras by"):
        write_formats(network, tmp_path, ("onnx",), np.ones((5, 6, 6, 1), dtype=np.float32))


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'genre-search\[onnx\]'"):
        check_available(("onnx",))
    check_available(("tflite", "savedmodel"))


def test_without_a_choice_a_missing_library_is_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    check_available(None)
    note = capsys.readouterr().err
    assert "Note: the export will not run without TensorFlow" in note
    assert "onnx and tf2onnx; run: pip install 'genre-search[onnx]'" in note
    assert write_default_formats(network, tmp_path, X) == {}
    assert not list(tmp_path.iterdir())


def test_without_a_choice_a_network_that_has_no_onnx_form_is_exported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Any, tmp_path: Path
) -> None:
    def failing(conversion: Any) -> None:
        conversion.target.write_bytes(b"half")
        raise ValueError("no such operator")

    monkeypatch.setitem(formats._WRITERS, "onnx", failing)
    assert write_default_formats(network, tmp_path, X) == {}
    assert "Exported without an ONNX form, so it needs TensorFlow: --format onnx" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match="no such operator"):
        write_formats(network, tmp_path, ("onnx",), X)


def test_names_and_metadata_are_part_of_the_onnx_file(network: Any, tmp_path: Path) -> None:
    import onnxruntime

    description = OnnxDescription("spectrogram", metadata={"genres": '["blues", "ロック"]'})
    write_formats(network, tmp_path, ("onnx",), X, description=description)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (model_input,), (output,) = session.get_inputs(), session.get_outputs()
    assert (model_input.name, model_input.shape) == ("spectrogram", ["n", 6, 6, 1])
    assert (output.name, output.shape) == ("probabilities", ["n", 3])
    assert session.get_modelmeta().custom_metadata_map == description.metadata
