"""What of a run needs a disk of this machine: the study's journal, which grows by lines, and Tune's state.

A run in a folder of this machine has them there. For a run in a bucket they lie in the scratch folder, and
the journal is mirrored to the bucket while the search goes on; so it can be resumed from anywhere.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from pathlib import Path

from data.io.scratch import scratch_folder
from search.storage.run_folder import JOURNAL, RunFolder

_MIRROR_SECONDS = 2.0
"""The journal is sent to the bucket at most this often, because it is sent whole."""
_MIRROR_SHARE = 0.05
"""Share of the time that sending may take, however long the journal is."""


def working_folder(run: RunFolder) -> Path:
    """Return the folder of this machine for a run; it may not be there yet."""
    if run.folder.is_local:
        return run.folder.local
    mark = hashlib.sha256(run.folder.uri.encode()).hexdigest()[:16]
    return scratch_folder() / "runs" / mark / run.name


def fetch_journal(run: RunFolder) -> None:
    """Bring the journal of a run in a bucket here; for a run of this machine nothing is to do.

    A search that was killed here may have written lines that the bucket has not: these are kept.
    """
    if run.folder.is_local:
        return
    try:
        there = run.folder.read(JOURNAL)
    except FileNotFoundError:
        return
    path = working_folder(run) / JOURNAL
    if path.exists() and path.read_bytes().startswith(there):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}-{JOURNAL}")
    temporary.write_bytes(there)
    temporary.replace(path)


class JournalMirror:
    """Sends the journal of a run in a bucket there; for a run of this machine it does nothing.

    Parameters
    ----------
    run : RunFolder
        The run.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._path = working_folder(run) / JOURNAL
        self._size = -1
        self._next = 0.0

    def send(self) -> None:
        """Send it now, whole lines only, if there is anything new.

        Raises
        ------
        OSError
            If the bucket does not take it.
        """
        if self._run.folder.is_local or not self._path.exists():
            return
        content = self._path.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        if len(content) != self._size:
            self._run.folder.write(JOURNAL, content)
            self._size = len(content)

    def send_sometimes(self) -> None:
        """Send it if it was not sent just now; a bucket that fails is tried again later."""
        started = time.monotonic()
        if started < self._next:
            return
        try:
            self.send()
        except OSError:
            self._size = -1
        ended = time.monotonic()
        self._next = ended + max(_MIRROR_SECONDS, (ended - started) / _MIRROR_SHARE)
