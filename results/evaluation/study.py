"""The journal of a run's study, opened to look at it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from data.errors import RunError
from search.storage.run_folder import JOURNAL, STUDY, RunFolder


class _ReadOnly(JournalFileBackend):
    """A journal that refuses to be written: every change of a study, of whatever kind, is an append to it."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError(f"{self._file_path}: a study is only looked at here; its search alone writes it")


def storage(run: RunFolder) -> optuna.storages.JournalStorage:
    """Open the journal of a run to read it, also while its search goes on; what would write raises RunError.

    Raises
    ------
    RunError
        If the run has none.
    HarnessError
        If the run lies in a bucket.
    """
    if not run.folder.exists(JOURNAL):
        run.info()  # tells that there is no such run
        raise RunError(f"run {run.name!r}: {run.folder.uri}/{JOURNAL} is missing; has its search begun?")
    return optuna.storages.JournalStorage(_ReadOnly(str(run.folder.local / JOURNAL)))


def ended_at(run: RunFolder) -> dict[str, datetime]:
    """When each trial ended, by its name; empty where the run's journal is not at hand."""
    if not run.folder.is_local or not run.folder.exists(JOURNAL):
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.load_study(study_name=STUDY, storage=storage(run))
    except KeyError:
        return {}
    return {
        trial.user_attrs["trial_id"]: trial.datetime_complete
        for trial in study.get_trials(deepcopy=False)
        if trial.datetime_complete is not None and "trial_id" in trial.user_attrs
    }
