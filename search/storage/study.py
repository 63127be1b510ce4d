"""The Optuna study of a run and its journal, from which a search resumes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from data.errors import RunError
from search.storage.journal_backend import Journal
from search.storage.journal_mirror import fetch_journal, working_folder
from search.storage.run_folder import JOURNAL, STUDY, RunFolder

CURVE = "curve"
"""User attribute of an ended trial with all its epochs, as a list of dicts."""

FIXED = "fixed"
"""User attribute of a trial with the parameters that were fixed and not suggested."""


@dataclass(frozen=True)
class Curve:
    """Scores of a trial in the study, from which a scheduler rebuilds its state.

    Attributes
    ----------
    number : int
        Number of the trial in the order of suggestion.
    horizon : int
        Number of epochs of its configuration.
    scores : mapping of int to float
        Score at each reported epoch, from 1; greater is better.
    is_finished : bool
        Whether the trial has ended.
    """

    number: int
    horizon: int
    scores: Mapping[int, float]
    is_finished: bool

    @classmethod
    def of(cls, trial: FrozenTrial) -> Curve:
        """Return the curve of a trial of a study."""
        return cls(
            trial.number,
            int(configuration(trial)["epochs"]),
            trial.intermediate_values,
            trial.state.is_finished(),
        )


def storage(run: RunFolder) -> Journal:
    """Open the journal of a run; create it if it does not exist."""
    path = working_folder(run) / JOURNAL
    path.parent.mkdir(parents=True, exist_ok=True)
    return Journal(path)


def open_study(run: RunFolder) -> optuna.Study:
    """Open the study of a run, which may still be running.

    Raises
    ------
    RunError
        If the run has no study.
    """
    fetch_journal(run)
    if not (working_folder(run) / JOURNAL).exists():
        raise RunError(f"run {run.name!r}: {run.folder.uri}/{JOURNAL} is missing")
    try:
        return optuna.load_study(study_name=STUDY, storage=storage(run))
    except (KeyError, ValueError) as error:
        raise RunError(
            f"run {run.name!r}: {run.folder.uri}/{JOURNAL}: it contains no complete study ({error})"
        ) from error


def configuration(trial: FrozenTrial) -> dict[str, Any]:
    """Return the complete configuration of a trial: suggested and fixed parameters."""
    return {**trial.params, **trial.user_attrs.get(FIXED, {})}


def writable_trial(study: optuna.Study, trial: FrozenTrial) -> optuna.trial.Trial:
    """Return a trial of a study as it is after an ask, so that it can be reported and told.

    Optuna has no public way to continue a trial that another process started.
    """
    return optuna.trial.Trial(study, trial._trial_id)


def create_study(run: RunFolder, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Open the study of a run for writing; create it if it does not exist."""
    # Otherwise Optuna logs at each opening that the study exists.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=STUDY,
        storage=storage(run),
        sampler=sampler,
        pruner=optuna.pruners.NopPruner(),
        direction="maximize",
        load_if_exists=True,
    )


def count_ended(study: optuna.Study) -> int:
    """Return the number of trials that have ended in any state."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def count_started(study: optuna.Study) -> int:
    """Return the number of trials that were ever started."""
    waiting = optuna.trial.TrialState.WAITING
    return sum(trial.state != waiting for trial in study.get_trials(deepcopy=False))


def repair_journal(run: RunFolder) -> None:
    """Remove an incomplete last line from a journal, and the lock file of a dead process.

    The caller must hold the lock of the run.

    Raises
    ------
    RunError
        If a line before the last is incomplete, because then the file was changed from outside.
    """
    fetch_journal(run)
    path = working_folder(run) / JOURNAL
    with contextlib.suppress(FileNotFoundError):
        path.with_name(JOURNAL + ".lock").unlink()
    if not path.exists():
        return
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if _is_complete(line):
            continue
        if number < len(lines):
            raise RunError(f"{run.folder.uri}/{JOURNAL}: line {number} is incomplete; was the file changed?")
        with path.open("rb+") as stream:
            stream.truncate(len(content) - len(line))


def _is_complete(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")
