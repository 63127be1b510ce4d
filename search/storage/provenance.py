"""What a search or an export was made with: versions of the libraries, revision of this program."""

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
    """Versions of Python and of the libraries that a model's numbers depend on."""
    libraries = {library: importlib.metadata.version(library) for library in _LIBRARIES}
    return {"python": platform.python_version()} | libraries


def git_revision(project: Path = _PROJECT) -> str | None:
    """Revision of this program, ``-dirty`` after it where files were changed since.

    Parameters
    ----------
    project : Path
        The folder that holds the packages.

    Returns
    -------
    str or None
        None where the folder is not itself a git checkout: it may be installed inside somebody else's.
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
