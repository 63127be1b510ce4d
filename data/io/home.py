"""Folders for libraries that write into the home folder, where that cannot be written.

Containers run as users without a home (``docker run -u 12345``). numba, which librosa needs, then finds no
place for its compiled functions and fails.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from data.errors import SettingsError
from data.io.scratch import VARIABLE, scratch_folder

_NUMBA = "NUMBA_CACHE_DIR"


def home_is_writable() -> bool:
    """Whether this user has a home folder that can be written."""
    # Without a HOME and an entry in the table of users, "~" stays as it is.
    home = os.path.expanduser("~")  # noqa: PTH111 - Path raises an error there
    return Path(home).is_absolute() and os.access(home, os.W_OK | os.X_OK)


def use_scratch_for_home() -> None:
    """Let numba store its compiled functions in the scratch folder if the home folder cannot be written.

    Raises
    ------
    SettingsError
        If there is no folder that can be written either.
    """
    if os.environ.get(_NUMBA) or os.environ.get("XDG_CACHE_HOME") or home_is_writable():
        return
    home = os.environ.get("HOME", "(not set)")
    try:
        folder = scratch_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(
            f"HOME {home}: cannot be written, and neither can the folder for temporary files"
            f" ({error.strerror or error}); name a folder that can in HOME or in {VARIABLE}"
        ) from error
    os.environ[_NUMBA] = str(folder / "numba")
