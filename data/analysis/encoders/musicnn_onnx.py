"""MusiCNN in the ONNX form that an export contains, for installations without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.analysis.encoders.base import Encoder
from data.analysis.encoders.musicnn import BATCH, DIMENSION, SAMPLE_RATE, log_mel_patches
from data.errors import EncoderError
from data.io.extras import install_command
from data.io.onnx_session import first_line, open_session

FILE = "musicnn.onnx"
"""Name of the file, next to the weights. Its input is `log_mel_patches`, its output their vectors."""


class OnnxMusicnn(Encoder):
    """MusiCNN, evaluated by onnxruntime on one core; see `data.analysis.encoders.musicnn.Musicnn`.

    Parameters
    ----------
    folder : Path
        Folder of the encoder in an export.

    Raises
    ------
    EncoderError
        If the file is missing or damaged.
    """

    sample_rate = SAMPLE_RATE
    dimension = DIMENSION

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        if not path.is_file():
            raise EncoderError(
                f"{path}: missing; without TensorFlow the encoder needs its ONNX form: export the model again"
                f" with --format onnx where TensorFlow is installed, or run: {install_command('search')}"
            )
        try:
            self._session = open_session(path, threads=1)
            self._input = self._session.get_inputs()[0].name
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise EncoderError(
                f"{path}: not a complete ONNX model ({first_line(error)}); export the model again"
            ) from error

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Encode a signal; see `Encoder.encode`. A remainder shorter than a patch is dropped."""
        patches = log_mel_patches(y)
        vectors = np.concatenate(
            [
                self._session.run(None, {self._input: patches[first : first + BATCH]})[0]
                for first in range(0, len(patches), BATCH)
            ]
        )
        if not np.isfinite(vectors).all():
            raise EncoderError("musicnn: the network's output is not finite")
        return vectors
