"""Python code in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.paths import ROOT


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code from the project's folder, with additions to the environment."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
