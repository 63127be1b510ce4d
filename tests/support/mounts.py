"""Run a command where a folder cannot be written, or as a user who is unknown to the system."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_with_mounts(
    mounts: Sequence[str], command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in its own mount namespace, after the commands that mount."""
    script = " && ".join([*mounts, f"exec {shlex.join(command)}"])
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )


def read_only(folder: Path) -> list[str]:
    """Commands that mount a folder so that nobody can write to it."""
    name = shlex.quote(str(folder))
    return [f"mount --bind {name} {name}", f"mount -o remount,bind,ro {name}"]
