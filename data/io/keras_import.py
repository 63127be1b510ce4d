"""Import Keras and TensorFlow with the same settings in every process, independent of the user's settings."""

from __future__ import annotations

import importlib
import logging
import os
import sys

from data.errors import SettingsError
from data.io.silence import silent_stderr

_BACKEND = "tensorflow"
_IMAGE_FORMAT, _FLOAT, _EPSILON = "channels_last", "float32", 1e-7
"""Keras's own defaults, which ``~/.keras/keras.json`` would override."""


def import_keras() -> None:
    """Import Keras and TensorFlow with fixed settings, silently unless the import fails.

    Backend, image format, float type and epsilon are fixed, so that the user's ``keras.json`` and environment
    cannot change the networks. TensorFlow allocates GPU memory as needed, so that processes can share GPUs.

    Raises
    ------
    SettingsError
        If this process has already imported Keras with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = _BACKEND
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # Some lines are printed before TensorFlow reads its log level.
        with silent_stderr(replay=True):
            importlib.import_module("keras")
    import keras

    if keras.backend.backend() != _BACKEND:
        raise SettingsError(
            f"this process has imported Keras with the backend {keras.backend.backend()!r}; set"
            f" KERAS_BACKEND={_BACKEND} before the first import of keras"
        )
    keras.config.set_image_data_format(_IMAGE_FORMAT)
    keras.config.set_floatx(_FLOAT)
    keras.config.set_epsilon(_EPSILON)
    # TensorFlow warns about repeated compilation if several networks are trained in one process.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    grow_memory()


def grow_memory() -> None:
    """Let TensorFlow allocate GPU memory as needed, unless it already uses the GPUs."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            # The GPUs are already in use, by this function's settings or those of the caller's program.
            return
