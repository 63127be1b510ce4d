"""Scratch folder of a node: files that its processes share, written by the first process that needs them."""

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
_MAX_UNUSED_DAYS = 7
"""Days after its last use before a file is deleted."""


def scratch_folder() -> Path:
    """Return the folder in the variable, which may not exist yet, or this user's default folder.

    Raises
    ------
    CacheError
        If another user has created the default folder, because its name can be guessed and its content is
        trusted.
    """
    path = os.environ.get(VARIABLE)
    if path:
        return Path(path)
    try:
        folder = Path(tempfile.gettempdir()) / f"genre-search-{os.getuid()}"
    except FileNotFoundError as error:
        raise CacheError(
            "no folder for temporary files can be written (TMPDIR, /tmp, /var/tmp); set a folder in the"
            f" variables {VARIABLE} and TMPDIR"
        ) from error
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if is_own and status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise CacheError(
            f"{folder}: cannot be created ({error.strerror}); set another folder in the variable {VARIABLE}"
        ) from error
    if not is_own:
        raise CacheError(
            f"{folder}: is not this user's own folder; set another one in the variable {VARIABLE}"
        )
    return folder


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let only one process of the node at a time write a file; its folder is created if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The operating system releases the lock when its process ends, even if it is killed.
    with FileLock(path.with_name(f".lock-{path.name}")):
        yield


@contextlib.contextmanager
def making(path: Path, nbytes: int = 0) -> Iterator[Path | None]:
    """Let one process of the node write a file while others that need it wait.

    Files of this project that were not used for a week are deleted first. If more space is needed, the least
    recently used files are deleted too; processes that have mapped them are not affected.

    Parameters
    ----------
    path : Path
        The file.
    nbytes : int
        Its size in bytes; 0 if unknown, then the caller calls `make_room` later.

    Yields
    ------
    Path or None
        A temporary file, renamed to `path` when the context ends without error; None if the file exists.

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
            f"{path.parent}: cannot be written ({error.strerror or error}); free space there, or set another"
            f" folder in the variable {VARIABLE}"
        ) from error


def used(path: Path) -> None:
    """Record that a file is used now, if it exists."""
    with contextlib.suppress(OSError):
        os.utime(path)


def make_room(folder: Path, nbytes: int) -> None:
    """Delete files of this project until there is enough free space.

    Parameters
    ----------
    folder : Path
        The scratch folder.
    nbytes : int
        Required free space in bytes.
    """
    files = []
    for lock in folder.glob(".lock-*"):
        name = lock.name.removeprefix(".lock-")
        _delete_abandoned(lock, folder / f".tmp-{name}")
        with contextlib.suppress(FileNotFoundError):
            status = (folder / name).stat()
            files.append((status.st_mtime, status.st_size, folder / name))
    free = shutil.disk_usage(folder).free
    oldest = time.time() - 86400 * _MAX_UNUSED_DAYS
    for last_use, size, path in sorted(files):
        if last_use < oldest or free < nbytes:
            path.unlink(missing_ok=True)
            free += size


def _delete_abandoned(lock: Path, temporary: Path) -> None:
    """Delete an unfinished file if its lock is free, because its process was killed."""
    if not temporary.exists():
        return
    with contextlib.suppress(Timeout), FileLock(lock, blocking=False):
        temporary.unlink(missing_ok=True)
