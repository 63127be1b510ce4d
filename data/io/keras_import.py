"""The set-up of Keras and TensorFlow: the same in every process, whatever the user's own settings are."""

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
    """Import Keras and TensorFlow with fixed settings, silently unless that fails.

    Backend, image format, float type and epsilon are fixed, so that the user's ``keras.json`` and environment
    cannot change which network is searched and exported. TensorFlow takes the memory of GPUs as it needs it,
    so that other processes can share them.

    Raises
    ------
    SettingsError
        If this process has already imported Keras with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = _BACKEND
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # Some lines come before TensorFlow sets its own logging up, and ignore its level.
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
    # TensorFlow warns of compiling again where networks are trained or evaluated one after the other.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    grow_memory()


def grow_memory() -> None:
    """Let TensorFlow take the memory of each GPU as it needs it, unless it has begun to use them."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            # The GPUs are in use: this was set before, or the caller's program has set them up.
            return
