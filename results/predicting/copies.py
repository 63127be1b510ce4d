"""Sort copies of songs into one folder per genre."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from data.errors import OutputError

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


def copy_to_genre(path: str | Path, genre: str, folder: str | Path) -> Path:
    """Copy a song to ``folder/genre``; the copy appears whole, and never replaces a file.

    Parameters
    ----------
    path : str or Path
        The song.
    genre : str
        Its genre. Characters that cannot be part of a file name become ``_``.
    folder : str or Path
        Folder of the genre folders.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    OutputError
        If a file of that name exists already, or the copy cannot be written.
    """
    name = "".join("_" if character in '/\\\0:*?"<>|' else character for character in genre).strip(". ")
    target = Path(folder) / (name or "_") / Path(path).name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=".tmp-", dir=target.parent)
        os.close(descriptor)
        try:
            shutil.copy2(path, scratch)
            _place(Path(scratch), target)
        finally:
            Path(scratch).unlink(missing_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{target}: exists already and is not replaced; name another --copy-to") from error
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def _place(scratch: Path, target: Path) -> None:
    """Give a file its name, unless the name is taken: a link, unlike a rename, then fails."""
    try:
        target.hardlink_to(scratch)
    except FileExistsError:
        raise
    except OSError as error:
        # Some file systems, such as exFAT, have no links.
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target)) from error
        scratch.rename(target)
