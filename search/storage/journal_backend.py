"""A fast journal file for an Optuna study.

Optuna's backend calls fsync after each line. A trial writes some thirty lines, so the calls take more time
than all other work of the driver per trial. A killed process does not lose written data, only a power failure
does; this backend therefore calls fsync once in a while. Related records, such as the parameters of a trial,
can be written together.
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
"""Maximum time between two calls of fsync while lines are added."""


class JournalFile(BaseJournalBackend):
    """A journal in a file, in Optuna's own format.

    Parameters
    ----------
    path : Path
        The file, which is created if necessary. Other processes may read it, and write to it with Optuna's
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
        """Yield the entries from a number on."""
        if self._held is None:
            yield from self._reader.read_logs(log_number_from)
            return
        # The lock keeps other writers out, so the file is read only once.
        if self._written is None:
            logs = list(self._reader.read_logs(log_number_from))
            self._written = log_number_from + len(logs)
            yield from (*logs, *self._held)
        else:
            yield from self._held[log_number_from - self._written :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, one line each; if the disk is full, append none.

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
        """Collect the entries appended inside this context and write them together at its end.

        Other writers wait meanwhile.

        Raises
        ------
        OSError
            If the entries cannot be written; then none is, although this process has already read them.
        """
        with self._locked():
            self._held, self._written = [], None
            try:
                yield
            finally:
                held, self._held = self._held, None
                if held:
                    self._append(held)
                    # Advance the reader, which would otherwise read the file from its start again.
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
                # Otherwise the next entry would follow half a line, and no reader could pass it.
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
        The file, which is created if necessary.
    """

    def __init__(self, path: Path) -> None:
        self._file = JournalFile(path)
        super().__init__(self._file)

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Write the records of this context together instead of line by line.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        return self._file.together()
