"""The set-up of Keras and TensorFlow: the same in every process, whatever the user's own settings are."""

from __future__ import annotations

import logging
import os
import sys
import tempfile

from data.errors import SettingsError

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
        _import_silently()
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


def _import_silently() -> None:
    """Import Keras; print what was written to standard error only if the import fails.

    Some of the lines come before TensorFlow's own logging is set up and obey no setting, so standard error
    itself is redirected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
