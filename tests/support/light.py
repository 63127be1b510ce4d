"""Python code in a process that lacks the libraries of the extra ``search``, as a light installation does."""

from __future__ import annotations

import json
import subprocess

from tests.support.processes import python

MISSING = (
    *("tensorflow", "keras", "ray", "optuna", "cmaes", "librosa", "numba", "sklearn", "pandas", "pyarrow"),
    *("matplotlib", "plotly", "yaml", "onnx", "tf2onnx", "torch", "optuna_dashboard"),
)
"""Modules that cannot be imported, and that `importlib.util.find_spec` does not find."""


def light_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code without the libraries of `MISSING`."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({json.dumps(MISSING)}))\n"
    return python(blocked + code, **environment)
