"""TensorFlow without the lines that it writes to standard error."""

from __future__ import annotations

import logging

from data.io import keras_import as quiet

__all__ = ["import_keras"]


def import_keras() -> None:
    """Import Keras and TensorFlow, silently unless that fails.

    Warnings are silenced for later too: TensorFlow warns of retracing where models, or files of different
    lengths, are judged one after the other.
    """
    quiet.import_keras()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
