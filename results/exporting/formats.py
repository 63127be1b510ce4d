"""Write a network in the formats of other runtimes; check each against Keras on real inputs."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from data.errors import ExportError
from data.io.extras import check_installed, install_command, missing_modules
from data.io.onnx_session import open_session
from data.io.silence import silent_stderr
from results.exporting.onnx_description import OnnxDescription, describe
from results.model.network import ONNX_FILE

if TYPE_CHECKING:
    import keras

NAMES = {"onnx": ONNX_FILE, "tflite": "model.tflite", "savedmodel": "savedmodel"}
"""File or folder of each additional format."""

_TOLERANCE = {"onnx": 1e-4, "tflite": 1e-4, "savedmodel": 1e-5}
"""Maximum difference of an output from that of Keras; of the largest one, if that is above 1."""


def check_available(formats: Sequence[str] | None) -> None:
    """Check before the training that the libraries of each format are installed.

    Without a choice of formats, a missing ONNX form is only noted on standard error.

    Raises
    ------
    SettingsError
        If a library of a chosen format is missing.
    """
    if formats is None:
        if missing := missing_modules("onnx"):
            click.echo(
                f"Note: the export will not run without TensorFlow, because its ONNX form needs"
                f" {' and '.join(missing)}; run: {install_command('onnx')}",
                err=True,
            )
    elif "onnx" in formats:
        check_installed("onnx", option="--format onnx")


def write_default_formats(
    model: keras.Model, folder: Path, X: np.ndarray, *, description: OnnxDescription | None = None
) -> dict[str, float]:
    """Write the ONNX form where its libraries are installed; a network that has none is exported without it.

    Parameters and result are those of `write_formats`. The reason is printed on standard error.
    """
    if missing_modules("onnx"):
        return {}
    try:
        return write_formats(model, folder, ("onnx",), X, description=description)
    except ExportError as error:
        (folder / NAMES["onnx"]).unlink(missing_ok=True)
        click.echo(f"Exported without an ONNX form, so it needs TensorFlow: {error}", err=True)
        return {}


def write_formats(
    model: keras.Model,
    folder: Path,
    formats: Sequence[str],
    X: np.ndarray,
    *,
    description: OnnxDescription | None = None,
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
    description : OnnxDescription, optional
        Names of input and output, and metadata, of the ONNX form.

    Returns
    -------
    dict of str to float
        Maximum difference of an output per format.

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
    scale = max(1.0, float(np.abs(expected).max()))
    differences = {}
    inference = _inference(model, X)
    with tempfile.TemporaryDirectory() as scratch:
        saved = folder / NAMES["savedmodel"] if "savedmodel" in requested else Path(scratch) / "saved"
        for name in requested:
            target = folder / NAMES[name]
            try:
                with _silence():
                    outputs = _WRITERS[name](_Conversion(inference, target, saved, X, description))
            except Exception as error:  # converters pass on any error
                reason = (str(error).splitlines() or [""])[0]
                raise ExportError(
                    f"--format {name}: the network cannot be converted ({type(error).__name__}: {reason})"
                ) from error
            differences[name] = float(np.abs(outputs - expected).max())
            if not differences[name] <= _TOLERANCE[name] * scale:
                raise ExportError(
                    f"--format {name}: the outputs differ from those of Keras by {differences[name]:.1e} on"
                    f" {len(X)} rows; the tolerance is {_TOLERANCE[name] * scale:.0e}"
                )
    return differences


def _inference(model: keras.Model, X: np.ndarray) -> keras.Model:
    """Wrap a network so that no layer is converted in training mode.

    Keras's image layers, such as ``Resizing``, are called with ``training=True`` by default and pass it on to
    the layers after them. Batch normalisation would then use the statistics of the batch.
    """
    import keras

    inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    inference = keras.Model(inputs, model(inputs, training=False))
    inference(X[:1])  # Keras exports only models that have been called
    return inference


@dataclass(frozen=True)
class _Conversion:
    """A network, the file or folder to write, a folder for its SavedModel, and inputs to compare."""

    model: keras.Model
    target: Path
    saved: Path
    X: np.ndarray
    description: OnnxDescription | None


def _save(conversion: _Conversion) -> None:
    if not conversion.saved.exists():
        conversion.model.export(conversion.saved, format="tf_saved_model", verbose=False)


def _savedmodel(conversion: _Conversion) -> np.ndarray:
    import tensorflow as tf

    _save(conversion)
    loaded = tf.saved_model.load(str(conversion.target))  # owns the variables
    return np.asarray(loaded.serve(conversion.X))


def _tflite(conversion: _Conversion) -> np.ndarray:
    import tensorflow as tf

    _save(conversion)
    conversion.target.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(conversion.saved)).convert())
    interpreter = tf.lite.Interpreter(model_path=str(conversion.target))
    input_details, output_details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(input_details["index"], conversion.X.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(input_details["index"], conversion.X)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(output_details["index"]))


def _onnx(conversion: _Conversion) -> np.ndarray:
    from results.exporting.onnx_erfc import register_erfc

    register_erfc()
    conversion.model.export(conversion.target, format="onnx", verbose=False)
    if conversion.description is not None:
        describe(conversion.target, conversion.description)
    session = open_session(conversion.target)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: conversion.X})[0])


_WRITERS: dict[str, Callable[[_Conversion], np.ndarray]] = {
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
