"""An exported network in the formats of other runtimes, each checked against Keras on real rows."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import ExportError, SettingsError

if TYPE_CHECKING:
    import keras

NAMES = {"onnx": "model.onnx", "tflite": "model.tflite", "savedmodel": "savedmodel"}
"""File or folder of each format beside Keras's own."""

_WITHIN = {"onnx": 1e-4, "tflite": 1e-4, "savedmodel": 1e-5}
"""How far a probability may lie from that of Keras."""


def check_available(formats: Sequence[str]) -> None:
    """Find out before anything is trained whether each format can be written.

    Raises
    ------
    SettingsError
        If a library is missing.
    """
    if "onnx" in formats:
        missing = [
            name for name in ("onnx", "onnxruntime", "tf2onnx") if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise SettingsError(
                f"--format onnx: {', '.join(missing)} not installed; run: pip install 'genre-search[onnx]'"
            )


def write_formats(
    model: keras.Model, folder: Path, formats: Sequence[str], X: np.ndarray
) -> dict[str, float]:
    """Write a network in further formats.

    Parameters
    ----------
    model : keras.Model
        Takes prepared inputs, gives probabilities.
    folder : Path
        Where to.
    formats : sequence of str
        Of `NAMES`.
    X : ndarray of float32, shape (n, ...)
        Real, prepared inputs on which each is compared with `model`.

    Returns
    -------
    dict of str to float
        By format, the greatest difference of a probability.

    Raises
    ------
    ExportError
        If a format cannot be written, or answers differently.
    """
    wanted = [name for name in NAMES if name in formats]
    if not wanted:
        return {}
    X = np.ascontiguousarray(X, dtype=np.float32)
    expected = np.asarray(model.predict(X, verbose=0))
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        saved = folder / NAMES["savedmodel"] if "savedmodel" in wanted else Path(scratch) / "saved"
        for name in wanted:
            try:
                with _silence():
                    answer = _WRITERS[name](model, folder / NAMES[name], saved, X)
            except Exception as error:  # converters let through whatever they meet
                reason = (str(error).splitlines() or [""])[0]
                raise ExportError(
                    f"--format {name}: the network cannot be converted ({type(error).__name__}: {reason})"
                ) from error
            found[name] = float(np.abs(answer - expected).max())
            if not found[name] <= _WITHIN[name]:
                raise ExportError(
                    f"--format {name}: answers differ from those of Keras by {found[name]:.1e} on"
                    f" {len(X)} rows; more than {_WITHIN[name]:.0e} is not accepted"
                )
    return found


def _save(model: keras.Model, saved: Path) -> None:
    if not saved.exists():
        model.export(saved, format="tf_saved_model", verbose=False)


def _savedmodel(model: keras.Model, target: Path, saved: Path, X: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    _save(model, saved)
    loaded = tf.saved_model.load(str(target))  # its variables live as long as it does
    return np.asarray(loaded.serve(X))


def _tflite(model: keras.Model, target: Path, saved: Path, X: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    _save(model, saved)
    target.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert())
    interpreter = tf.lite.Interpreter(model_path=str(target))
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(given["index"], X.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], X)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(taken["index"]))


def _onnx(model: keras.Model, target: Path, _saved: Path, X: np.ndarray) -> np.ndarray:
    import onnxruntime

    from results.exporting.onnx_erfc import teach

    teach()
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
    """Keep converters, some of which write to the process's own standard error, from talking."""
    kept = os.dup(2)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            Path(os.devnull).open("w") as nowhere,
        ):
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        logging.disable(before)
