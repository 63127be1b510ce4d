"""Scratch folder of a node: arrays that its processes share, made by the first one that needs them."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from data.errors import CacheError

VARIABLE = "GENRE_SEARCH_SCRATCH"
"""Variable of the environment that names the folder."""
_KEPT_DAYS = 7
"""Days that a file is kept after its last use."""


def scratch_folder() -> Path:
    """Return the folder that the variable names, which may not exist yet, or a default one of this user.

    Raises
    ------
    CacheError
        If another user has created the default one: its name can be guessed, and its content is trusted.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    try:
        folder = Path(tempfile.gettempdir()) / f"genre-search-{os.getuid()}"
    except FileNotFoundError as error:
        raise CacheError(
            "no folder for temporary files can be written (TMPDIR, /tmp, /var/tmp); name a folder in the"
            f" variable {VARIABLE} and in TMPDIR"
        ) from error
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if own and status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise CacheError(
            f"{folder}: cannot be created ({error.strerror}); name another folder in the variable {VARIABLE}"
        ) from error
    if not own:
        raise CacheError(
            f"{folder}: is not this user's own folder; name another one in the variable {VARIABLE}"
        )
    return folder


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process of the node at a time make a file; its folder is created if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock is on the open file: it ends with the process that holds it, however that ends.
    with FileLock(path.with_name(f".lock-{path.name}")):
        yield


@contextlib.contextmanager
def making(path: Path, nbytes: int = 0) -> Iterator[Path | None]:
    """Let one process of the node make a file while the others that want it wait.

    Files that were made here and not used for a week are deleted first; then, if more room is needed, those
    whose last use is longest ago. A process that has one mapped keeps it.

    Parameters
    ----------
    path : Path
        The file.
    nbytes : int
        Its size; 0 if the caller calls `make_room` itself once the size is known.

    Yields
    ------
    Path or None
        A temporary name to write to, renamed to `path` when the block succeeds; None if the file exists by
        now.

    Raises
    ------
    CacheError
        If the file cannot be written.
    """
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        with alone(path):
            if path.exists():
                yield None
                return
            make_room(path.parent, nbytes)
            try:
                yield temporary
                temporary.replace(path)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(
            f"{path.parent}: cannot be written ({error.strerror or error}); free space there, or name another"
            f" folder in the variable {VARIABLE}"
        ) from error


def used(path: Path) -> None:
    """Note that a file of the folder is used now, if it exists."""
    with contextlib.suppress(OSError):
        os.utime(path)


def make_room(folder: Path, nbytes: int) -> None:
    """Delete files that are no longer needed, except those of other programs.

    Parameters
    ----------
    folder : Path
        The scratch folder.
    nbytes : int
        Bytes of room that are needed.
    """
    made = []
    for lock in folder.glob(".lock-*"):
        name = lock.name.removeprefix(".lock-")
        _delete_abandoned(lock, folder / f".tmp-{name}")
        with contextlib.suppress(FileNotFoundError):
            status = (folder / name).stat()
            made.append((status.st_mtime, status.st_size, folder / name))
    room = shutil.disk_usage(folder).free
    oldest = time.time() - 86400 * _KEPT_DAYS
    for last_use, size, path in sorted(made):
        if last_use < oldest or room < nbytes:
            path.unlink(missing_ok=True)
            room += size


def _delete_abandoned(lock: Path, temporary: Path) -> None:
    """Delete an unfinished file whose lock is free: its process was killed."""
    if not temporary.exists():
        return
    with contextlib.suppress(Timeout), FileLock(lock, blocking=False):
        temporary.unlink(missing_ok=True)
