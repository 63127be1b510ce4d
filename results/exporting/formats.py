"""Write a network in the formats of other runtimes; check each against Keras on real inputs."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import ExportError
from data.io.extras import check_installed
from data.io.silence import silent_stderr

if TYPE_CHECKING:
    import keras

NAMES = {"onnx": "model.onnx", "tflite": "model.tflite", "savedmodel": "savedmodel"}
"""File or folder of each additional format."""

_TOLERANCE = {"onnx": 1e-4, "tflite": 1e-4, "savedmodel": 1e-5}
"""Maximum difference of a probability from that of Keras."""


def check_available(formats: Sequence[str]) -> None:
    """Check before the training that the libraries of each format are installed.

    Raises
    ------
    SettingsError
        If a library is missing.
    """
    if "onnx" in formats:
        check_installed(("onnx", "onnxruntime", "tf2onnx"), "onnx", option="--format onnx")


def write_formats(
    model: keras.Model, folder: Path, formats: Sequence[str], X: np.ndarray
) -> dict[str, float]:
    """Write a network in additional formats.

    Parameters
    ----------
    model : keras.Model
        The network, from prepared inputs to probabilities.
    folder : Path
        The folder to write to.
    formats : sequence of str
        Keys of `NAMES`.
    X : ndarray of float32, shape (n, ...)
        Real, prepared inputs on which each format is compared with `model`.

    Returns
    -------
    dict of str to float
        Maximum difference of a probability per format.

    Raises
    ------
    ExportError
        If a format cannot be written, or its outputs differ.
    """
    requested = [name for name in NAMES if name in formats]
    if not requested:
        return {}
    X = np.ascontiguousarray(X, dtype=np.float32)
    expected = np.asarray(model.predict(X, verbose=0))
    differences = {}
    with tempfile.TemporaryDirectory() as scratch:
        saved = folder / NAMES["savedmodel"] if "savedmodel" in requested else Path(scratch) / "saved"
        for name in requested:
            try:
                with _silence():
                    outputs = _WRITERS[name](model, folder / NAMES[name], saved, X)
            except Exception as error:  # converters pass on any error
                reason = (str(error).splitlines() or [""])[0]
                raise ExportError(
                    f"--format {name}: the network cannot be converted ({type(error).__name__}: {reason})"
                ) from error
            differences[name] = float(np.abs(outputs - expected).max())
            if not differences[name] <= _TOLERANCE[name]:
                raise ExportError(
                    f"--format {name}: the outputs differ from those of Keras by {differences[name]:.1e} on"
                    f" {len(X)} rows; the tolerance is {_TOLERANCE[name]:.0e}"
                )
    return differences


def _save(model: keras.Model, saved: Path) -> None:
    if not saved.exists():
        model.export(saved, format="tf_saved_model", verbose=False)


def _savedmodel(model: keras.Model, target: Path, saved: Path, X: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    _save(model, saved)
    loaded = tf.saved_model.load(str(target))  # owns the variables
    return np.asarray(loaded.serve(X))


def _tflite(model: keras.Model, target: Path, saved: Path, X: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    _save(model, saved)
    target.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert())
    interpreter = tf.lite.Interpreter(model_path=str(target))
    input_details, output_details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(input_details["index"], X.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(input_details["index"], X)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(output_details["index"]))


def _onnx(model: keras.Model, target: Path, _saved: Path, X: np.ndarray) -> np.ndarray:
    import onnxruntime

    from results.exporting.onnx_erfc import register_erfc

    register_erfc()
    model.export(target, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: X})[0])


_WRITERS: dict[str, Callable[[Any, Path, Path, np.ndarray], np.ndarray]] = {
    "onnx": _onnx,
    "tflite": _tflite,
    "savedmodel": _savedmodel,
}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress the output of converters."""
    previous_level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            silent_stderr(replay=False),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous_level)
