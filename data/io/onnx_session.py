"""Open ONNX files with onnxruntime, and shorten its errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_MAX_REASON = 240
"""Maximum number of characters to show of an error."""


def open_session(path: Path, *, threads: int = 0) -> Any:
    """Open an ONNX file on the processor, silently.

    Parameters
    ----------
    path : Path
        The file.
    threads : int
        Number of threads; 0 for one per core.

    Returns
    -------
    onnxruntime.InferenceSession
        The network. Opening and running it can raise any error of onnxruntime.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def first_line(error: Exception) -> str:
    """Shorten an error of onnxruntime, protobuf or Keras: no codes, no source locations."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if opset := re.search(r"Opset (\d+) is under development.* is till opset (\d+)", text):
        return f"it needs opset {opset[1]}, but onnxruntime supports opsets up to {opset[2]}; export it again"
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"/\S+\.(?:h|cc):\d+ .*?\) ", "", text)
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}..."
