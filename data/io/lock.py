"""Lock the folder of a cache, so that only one process at a time prepares it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from data.errors import CacheError
from data.io.folder import Folder
from data.io.terminal import err


@contextlib.contextmanager
def claimed(folder: Folder, *, wait: bool = False) -> Iterator[None]:
    """Lock a cache's folder inside this context; the death of the process releases the lock.

    The folder itself is locked, so there is no lock file. Buckets, and folders on file systems that cannot
    lock them, are not locked; other machines do not see the lock.

    Parameters
    ----------
    folder : Folder
        The cache; its folder is created if necessary.
    wait : bool
        Whether to wait for another process that holds the lock.

    Raises
    ------
    CacheError
        If another process holds the lock and `wait` is false, or the folder cannot be created.
    """
    if not folder.is_local:
        yield
        return
    try:
        folder.local.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.local, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CacheError(
            f"--cache {folder.uri}: cannot be written ({error.strerror or error}); fix that and rerun"
        ) from error
    try:
        _lock(descriptor, folder, wait=wait)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Folder, *, wait: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if not wait:
            raise CacheError(
                f"--cache {folder.uri}: another process is preparing it; wait until it ends"
            ) from error
        err().print(f"Another process is preparing {folder.uri}: waiting until it ends", soft_wrap=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        # For example on NFS, where only files can be locked.
        return
