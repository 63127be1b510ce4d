"""The file of a study's journal, written as fast as a search tells.

Optuna's own backend waits at each line until the disk has it. A trial is some thirty lines, so that takes
more time than all else that a trial costs the driver. What a process has written is not lost when it is
killed, only when the machine loses its power; so here the disk is waited for once in a while. And what
belongs together, such as the parameters of a trial, can be written together.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock

_SYNC_SECONDS = 1.0
"""What is older than this is on the disk before anything is added."""


class JournalFile(BaseJournalBackend):
    """A journal in a file, in Optuna's own format.

    Parameters
    ----------
    path : Path
        The file; it is made if it is not there. Other processes may read it, and write to it by Optuna's own
        backend.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._reader = JournalFileBackend(self._path)
        self._lock = JournalFileSymlinkLock(self._path)
        self._synced = 0.0
        self._held: list[dict[str, Any]] | None = None
        self._written: int | None = None

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Give the entries from a number on."""
        if self._held is None:
            yield from self._reader.read_logs(log_number_from)
            return
        # Nobody else writes meanwhile, so the file has to be read once only.
        if self._written is None:
            logs = list(self._reader.read_logs(log_number_from))
            self._written = log_number_from + len(logs)
            yield from (*logs, *self._held)
        else:
            yield from self._held[log_number_from - self._written :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, a line each, all or, where the disk is full, none.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        if self._held is not None:
            self._held += logs
            return
        with self._locked():
            self._append(logs)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Hold back what is added inside, and write it at the end, at once; other writers wait.

        Raises
        ------
        OSError
            If it cannot be written. Then none of it is, although who wrote it has read it.
        """
        with self._locked():
            self._held, self._written = [], None
            try:
                yield
            finally:
                held, self._held = self._held, None
                if held:
                    self._append(held)
                    # Else the reader, which knows how far it came, would begin at the file's beginning again.
                    deque(self._reader.read_logs(self._written or 0), maxlen=0)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _append(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with Path(self._path).open("ab", buffering=0) as file:
            whole = file.tell()
            try:
                self._write(file, lines.encode())
            except BaseException:
                # The next entry would be glued to half a line, and no reader go past it.
                file.truncate(whole)
                raise

    def _write(self, file: io.FileIO, content: bytes) -> None:
        while content:
            content = content[file.write(content) :]
        now = time.monotonic()
        if now - self._synced > _SYNC_SECONDS:
            os.fsync(file.fileno())
            self._synced = now


class Journal(JournalStorage):
    """Optuna's storage in a `JournalFile`.

    Parameters
    ----------
    path : Path
        The file; it is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = JournalFile(path)
        super().__init__(self._file)

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Write what happens inside at once, in place of a line at a time.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        return self._file.together()
