"""Provenance of runs and exports: library versions and the git revision of this program."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

_LIBRARIES = (
    "keras",
    "librosa",
    "numpy",
    "optuna",
    "pandas",
    "pyarrow",
    "ray",
    "scikit-learn",
    "scipy",
    "tensorflow",
)
_PROJECT = Path(__file__).resolve().parents[2]


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect a model's numbers."""
    libraries = {library: importlib.metadata.version(library) for library in _LIBRARIES}
    return {"python": platform.python_version()} | libraries


def git_revision(project: Path = _PROJECT) -> str | None:
    """Return the git revision of this program, with ``-dirty`` appended if files have changed.

    Parameters
    ----------
    project : Path
        Folder that contains the packages.

    Returns
    -------
    str or None
        None if the folder is not the top of a git checkout; it may be installed inside another repository.
    """
    try:
        top = _git(project, "rev-parse", "--show-toplevel")
        if top is None or Path(top).resolve() != project.resolve():
            return None
        return _git(project, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except OSError:
        return None


def _git(project: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(project), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return answer.stdout.strip() or None if answer.returncode == 0 else None
