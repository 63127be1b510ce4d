"""The file of a study's journal, written as fast as a search tells.

Optuna's own backend waits at each line until the disk has it. A trial is some thirty lines, so that takes
more time than all else that a trial costs the driver. What a process has written is not lost when it is
killed, only when the machine loses its power; so here the disk is waited for once in a while.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

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

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Give the entries from a number on."""
        return self._reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, a line each, all or, where the disk is full, none.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            with Path(self._path).open("ab", buffering=0) as file:
                whole = file.tell()
                try:
                    self._write(file, lines.encode())
                except BaseException:
                    # The next entry would be glued to half a line, and no reader go past it.
                    file.truncate(whole)
                    raise
        finally:
            self._lock.release()

    def _write(self, file: io.FileIO, content: bytes) -> None:
        while content:
            content = content[file.write(content) :]
        now = time.monotonic()
        if now - self._synced > _SYNC_SECONDS:
            os.fsync(file.fileno())
            self._synced = now
