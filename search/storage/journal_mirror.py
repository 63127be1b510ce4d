"""The local files of a run: the journal of the study, to which lines are appended, and Tune's state.

A local run stores them in its own folder. For a run in a bucket they are stored in the scratch folder, and
the journal is copied to the bucket during the search, so that any machine can resume it.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from pathlib import Path

from data.io.scratch import scratch_folder
from search.storage.run_folder import JOURNAL, RunFolder

_MIRROR_SECONDS = 2.0
"""Minimum time between two uploads, because each upload sends the whole journal."""
_MIRROR_SHARE = 0.05
"""Maximum share of the time for uploads, for any length of the journal."""


def working_folder(run: RunFolder) -> Path:
    """Return the local folder of a run; it may not exist yet."""
    if run.folder.is_local:
        return run.folder.local
    mark = hashlib.sha256(run.folder.uri.encode()).hexdigest()[:16]
    return scratch_folder() / "runs" / mark / run.name


def fetch_journal(run: RunFolder) -> None:
    """Download the journal of a run in a bucket; do nothing for a local run.

    A search that was killed on this machine may have written lines that the bucket lacks; they are kept.
    """
    if run.folder.is_local:
        return
    try:
        uploaded = run.folder.read(JOURNAL)
    except FileNotFoundError:
        return
    path = working_folder(run) / JOURNAL
    if path.exists() and path.read_bytes().startswith(uploaded):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}-{JOURNAL}")
    temporary.write_bytes(uploaded)
    temporary.replace(path)


class JournalMirror:
    """Upload the journal of a run to its bucket; do nothing for a local run.

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
        """Upload the complete lines now if the journal has grown.

        Raises
        ------
        OSError
            If the upload fails.
        """
        if self._run.folder.is_local or not self._path.exists():
            return
        content = self._path.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        if len(content) != self._size:
            self._run.folder.write(JOURNAL, content)
            self._size = len(content)

    def send_sometimes(self) -> None:
        """Upload unless the last upload was recent; a failed upload is repeated later."""
        started = time.monotonic()
        if started < self._next:
            return
        try:
            self.send()
        except OSError:
            self._size = -1
        ended = time.monotonic()
        self._next = ended + max(_MIRROR_SECONDS, (ended - started) / _MIRROR_SHARE)
