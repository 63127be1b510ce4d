"""The journal of a run's study: what is known of its trials, whatever happens to the search."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from data.errors import RunError
from search.storage.journal_backend import Journal
from search.storage.journal_mirror import fetch_journal, working_folder
from search.storage.run_folder import JOURNAL, STUDY, RunFolder

FIXED = "fixed"
"""User attribute of a trial that holds the parameters which were given and not suggested."""


def storage(run: RunFolder) -> Journal:
    """Open the journal of a run; it is made if it is not there."""
    path = working_folder(run) / JOURNAL
    path.parent.mkdir(parents=True, exist_ok=True)
    return Journal(path)


def open_study(run: RunFolder) -> optuna.Study:
    """Open the study of a run; it may be running.

    Raises
    ------
    RunError
        If the run has none.
    """
    fetch_journal(run)
    if not (working_folder(run) / JOURNAL).exists():
        raise RunError(f"run {run.name!r}: {run.folder.uri}/{JOURNAL} is missing")
    try:
        return optuna.load_study(study_name=STUDY, storage=storage(run))
    except (KeyError, ValueError) as error:
        raise RunError(
            f"run {run.name!r}: {run.folder.uri}/{JOURNAL}: no whole study in it ({error})"
        ) from error


def configuration(trial: FrozenTrial) -> dict[str, Any]:
    """Return the whole configuration of a trial of a study: what was suggested, and what was fixed."""
    return {**trial.params, **trial.user_attrs.get(FIXED, {})}


def begin_study(run: RunFolder, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Open the study of a run to go on with it; it is made if it is not there."""
    # It would tell, at each opening, that the study is there already.
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
    """How many trials of a study have ended, in whatever way."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def count_begun(study: optuna.Study) -> int:
    """How many trials of a study were ever begun."""
    waiting = optuna.trial.TrialState.WAITING
    return sum(trial.state != waiting for trial in study.get_trials(deepcopy=False))


def mend_journal(run: RunFolder) -> None:
    """Keep what is whole of a journal that was cut short, and free it from a dead process's lock.

    Nobody else may be writing.

    Raises
    ------
    RunError
        If a line before the last is not whole: then somebody else changed the file.
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
        if _is_whole(line):
            continue
        if number < len(lines):
            raise RunError(f"{run.folder.uri}/{JOURNAL}: line {number} is not whole; was the file changed?")
        with path.open("rb+") as stream:
            stream.truncate(len(content) - len(line))


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")
