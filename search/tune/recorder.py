"""Write the tables of a run from its study while the search runs."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from search.outcomes import OOM, SUSPENDED
from search.storage.checkpoint import remove_checkpoint
from search.storage.journal_mirror import JournalMirror
from search.storage.run_folder import RunFolder
from search.storage.study import writable_trial
from search.storage.tables import write_tables
from search.tune.optuna_searcher import TruthfulOptunaSearch
from search.tune.reports import TRIAL_NUMBER

SECONDS = "seconds"
"""Attribute of the study: total duration of the search over all sessions, in seconds."""
_DURATION_SECONDS = 10.0
"""Minimum time between two updates of that attribute."""
_REWRITE_SECONDS = 2.0
"""Minimum time between two writes of the tables, because each write replaces the whole table."""
_REWRITE_SHARE = 0.03
"""Maximum share of the driver's time for these writes, for any number of trials."""

_NO_MEMORY = ("low on memory", "outofmemory", "out of memory")
"""Words in Ray's message about a worker that was killed to free memory."""


def killed_for_memory(trial: Trial) -> bool:
    """Return whether Ray's memory monitor killed the worker of a trial.

    The kernel's own out-of-memory killer leaves no message.
    """
    if not trial.error_file or not Path(trial.error_file).exists():
        return False
    message = Path(trial.error_file).read_text(errors="replace").lower()
    return any(words in message for words in _NO_MEMORY)


class Recorder(Callback):
    """Rewrite the tables as trials end.

    Parameters
    ----------
    run : RunFolder
        The run whose tables are written.
    searcher : TruthfulOptunaSearch
        The searcher whose study is read. The duration of the search is stored in the study as the attribute
        `SECONDS`, so that it survives a killed driver.
    seconds : float
        Duration of earlier sessions.
    """

    def __init__(self, run: RunFolder, searcher: TruthfulOptunaSearch, *, seconds: float = 0.0) -> None:
        self._run = run
        self._searcher = searcher
        self._before = seconds
        self._started = time.monotonic()
        self._due = 0.0
        self._duration_written = -math.inf
        self._mirror = JournalMirror(run)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Store the duration in the study; copy the journal to the bucket of the run."""
        now = time.monotonic()
        if now > self._duration_written + _DURATION_SECONDS:
            self._duration_written = now
            self._searcher.set_study_attribute(SECONDS, self._before + now - self._started)
        self._mirror.send_sometimes()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial that ended or was stopped."""
        self._end(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a worker ran out of memory, in case the trial fails in the same way again."""
        if killed_for_memory(trial):
            frozen_trial = self._searcher.study.get_trials(deepcopy=False)[trial.config[TRIAL_NUMBER]]
            writable_trial(self._searcher.study, frozen_trial).set_user_attr("outcome", OOM)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial whose worker was restarted too often."""
        self._end(trial)

    def _end(self, trial: Trial) -> None:
        if self._searcher.failure is not None:
            # The journal does not contain this end: a resumed search continues the trial from its checkpoint.
            return
        # A bucket may fail to answer now: the end of the search repeats all of this.
        with contextlib.suppress(OSError):
            if (trial.last_result or {}).get("outcome") not in SUSPENDED:
                remove_checkpoint(self._run, trial.config[TRIAL_NUMBER])
            started_writing = time.monotonic()
            if started_writing > self._due:
                write_tables(self._run, self._searcher.study)
                ended = time.monotonic()
                self._due = ended + max(_REWRITE_SECONDS, (ended - started_writing) / _REWRITE_SHARE)
