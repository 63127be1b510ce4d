"""The network of an export, evaluated by Keras or by onnxruntime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import ExportError
from data.io.extras import check_installed, install_command, missing_modules
from data.io.keras_import import import_keras
from data.io.onnx_session import first_line, open_session
from data.io.runtime import VARIABLE, network_runtime

if TYPE_CHECKING:
    import keras

KERAS_FILE = "model.keras"
ONNX_FILE = "model.onnx"


class Network(ABC):
    """A network from prepared inputs to probabilities.

    Attributes
    ----------
    file : str
        Name of its file.
    input_shape : tuple of int or None
        Shape of one input; None for an axis of any length.
    n_outputs : int
        Number of probabilities per input.
    """

    file: str
    input_shape: tuple[int | None, ...]
    n_outputs: int

    @abstractmethod
    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch of inputs, float32, shape (n, n_outputs)."""

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether inputs may have a shape."""
        return len(shape) == len(self.input_shape) and all(
            expected in (None, length) for expected, length in zip(self.input_shape, shape, strict=True)
        )


class KerasNetwork(Network):
    """A network in Keras's own format, read in its safe mode, which runs no code from the file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    SettingsError
        If TensorFlow is not installed.
    ExportError
        If the file is missing or is not a complete Keras model.
    """

    file = KERAS_FILE

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ExportError(f"{path}: missing, so the export is incomplete; export the model again")
        check_installed("search", option=f"{VARIABLE}=keras", modules=("tensorflow",))
        import_keras()
        import keras

        try:
            self._model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras passes on any error of zip, JSON, HDF5 and its layers
            raise ExportError(
                f"{path}: not a complete Keras model ({first_line(error)}); export the model again"
            ) from error
        self.input_shape = tuple(self._model.input_shape[1:])
        self.n_outputs = int(self._model.output_shape[-1])

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch of inputs; see `Network.run`."""
        return np.asarray(self._model.predict_on_batch(inputs))


class OnnxNetwork(Network):
    """A network in the ONNX form of an export, which needs no TensorFlow.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ExportError
        If the file is missing or is not a complete ONNX model.
    """

    file = ONNX_FILE

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ExportError(f"{path}: missing; {_onnx_advice()}")
        try:
            self._session: Any = open_session(path)
            (model_input,), (output,) = self._session.get_inputs(), self._session.get_outputs()
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise ExportError(
                f"{path}: not a complete ONNX model ({first_line(error)}); export the model again"
            ) from error
        self._input = model_input.name
        self.input_shape = tuple(axis if isinstance(axis, int) else None for axis in model_input.shape[1:])
        self.n_outputs = int(output.shape[-1])

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch of inputs; see `Network.run`."""
        (probabilities,) = self._session.run(
            None, {self._input: np.ascontiguousarray(inputs, dtype=np.float32)}
        )
        return np.asarray(probabilities)


def open_network(folder: Path) -> Network:
    """Open the network of an export with the runtime of this process; see `data.io.runtime`.

    Raises
    ------
    ExportError
        If its file is missing or damaged.
    """
    if network_runtime() == "onnx":
        return OnnxNetwork(folder / ONNX_FILE)
    return KerasNetwork(folder / KERAS_FILE)


def _onnx_advice() -> str:
    if "tensorflow" not in missing_modules("search"):
        return "export the model again with --format onnx"
    return (
        "without TensorFlow a model needs its ONNX form: export it again with --format onnx where TensorFlow"
        f" is installed, or run: {install_command('search')}"
    )
