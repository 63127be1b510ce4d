"""One writer per cache: the process that prepares it locks its folder."""

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
    """Lock a cache's folder inside this context, on this machine; the lock ends with its process.

    The folder itself is locked, so no lock file is left behind. Nothing is locked in a bucket, or on a file
    system that cannot lock folders.

    Parameters
    ----------
    folder : Folder
        The cache; its folder is created if necessary.
    wait : bool
        Whether to wait for another process that holds it.

    Raises
    ------
    CacheError
        If another process holds it and `wait` is false, or the folder cannot be made.
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
                f"--cache {folder.uri}: another process is preparing it; wait for its end"
            ) from error
        err().print(f"Another process is preparing {folder.uri}: waiting for its end", soft_wrap=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        # As on NFS, where only files can be locked.
        return
