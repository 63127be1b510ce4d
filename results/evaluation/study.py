"""Read-only access to the Optuna study of a run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from data.errors import RunError
from search.storage.run_folder import JOURNAL, STUDY, RunFolder


class ReadOnlyJournal(JournalFileBackend):
    """A journal that refuses writes: every change of a study is an append."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write."""
        raise RunError(f"{self._file_path}: the study is read-only here; only its search writes to it")


def journal_path(run: RunFolder) -> Path:
    """Return the path of the journal of a run.

    Raises
    ------
    RunError
        If the run does not exist or has no journal.
    HarnessError
        If the run is stored in a bucket.
    """
    if not run.folder.exists(JOURNAL):
        run.info()  # raises if the run does not exist
        raise RunError(f"run {run.name!r}: {run.folder.uri}/{JOURNAL} is missing; has its search started?")
    return run.folder.local / JOURNAL


def storage(run: RunFolder) -> optuna.storages.JournalStorage:
    """Open the journal of a run for reading, also while its search is running; writes raise RunError.

    Raises
    ------
    RunError
        If the run does not exist or has no journal.
    HarnessError
        If the run is stored in a bucket.
    """
    return optuna.storages.JournalStorage(ReadOnlyJournal(str(journal_path(run))))


def load_study(run: RunFolder) -> optuna.Study:
    """Load the study of a run, read-only.

    Raises
    ------
    RunError
        If the run has no study yet.
    HarnessError
        If the run is stored in a bucket.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.load_study(study_name=STUDY, storage=storage(run))
    except KeyError as error:
        raise RunError(f"run {run.name!r}: its study is empty; has its search started?") from error


def ended_at(run: RunFolder) -> dict[str, datetime]:
    """Read when each trial ended, by its name; empty if the run has no local journal."""
    if not run.folder.is_local or not run.folder.exists(JOURNAL):
        return {}
    try:
        study = load_study(run)
    except RunError:
        return {}
    return {
        trial.user_attrs["trial_id"]: trial.datetime_complete
        for trial in study.get_trials(deepcopy=False)
        if trial.datetime_complete is not None and "trial_id" in trial.user_attrs
    }
