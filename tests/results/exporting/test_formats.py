from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import ExportError, SettingsError
from data.io.keras_import import import_keras
from results.exporting import formats
from results.exporting.formats import check_available, write_formats

pytestmark = pytest.mark.slow


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
    X = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype(np.float32)
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
