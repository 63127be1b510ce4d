"""Which library evaluates the networks of an export."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Literal, get_args

from data.errors import SettingsError

Runtime = Literal["keras", "onnx"]
"""Keras with TensorFlow, or onnxruntime, which reads the ONNX form of an export."""
VARIABLE = "GENRE_SEARCH_RUNTIME"
"""Environment variable that selects a runtime; the processes of a server inherit it."""


def network_runtime() -> Runtime:
    """Return the runtime: Keras if TensorFlow is installed, otherwise ONNX, unless `VARIABLE` selects one.

    Raises
    ------
    SettingsError
        If the variable has another value.
    """
    selected = os.environ.get(VARIABLE, "")
    for runtime in get_args(Runtime):
        if selected == runtime:
            return runtime
    if selected:
        raise SettingsError(f"{VARIABLE}={selected}: unknown; use {' or '.join(get_args(Runtime))}")
    return "onnx" if find_spec("tensorflow") is None else "keras"
