"""Python code in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code from the project's folder and return its output and exit status."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
