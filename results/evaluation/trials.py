"""Find a trial of a run by name and read its configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from data.dataset.score_window import window_epochs
from data.dataset.scores import Metric
from data.errors import RunError
from data.io.command_names import command_name
from search.storage.columns import config_of
from search.storage.ranking import SCORED, scored
from search.storage.run_folder import RunFolder, first_failure
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    import pandas as pd

BASELINE, BEST = "baseline", "best"
"""Names of trial 0 and of the best trial in commands: ``RUN:baseline`` is ``RUN:0``."""


@dataclass(frozen=True)
class Trial:
    """A scored trial.

    Attributes
    ----------
    run : RunFolder
        The run of the trial.
    info : RunInfo
        The run's record.
    number : int
        The trial's number in the order of suggestion; 0 is the BASELINE.
    trial_id : str
        Name of the trial's files.
    status : str
        One of `search.storage.ranking.SCORED`.
    best_epoch : int
        The epoch, from 1, with the best score by the run's metric: the last epoch of its window.
    val_accuracy : float
        Fraction of the validated tracks that are classified correctly at that epoch.
    best_of : int
        Number of scored trials of the run, and of the runs that warm-started it, if this trial was selected
        as the best of them; 1 otherwise, also for a BASELINE that was requested by name.
    config : dict
        The configuration of the trial.
    """

    run: RunFolder
    info: RunInfo
    number: int
    trial_id: str
    status: str
    best_epoch: int
    val_accuracy: float
    best_of: int
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """The trial as typed in commands: ``RUN:NUMBER``."""
        return f"{self.run.name}:{self.number}"

    @property
    def score_epochs(self) -> int:
        """Number of epochs, up to the best epoch, whose mean probabilities were scored."""
        return min(self.best_epoch, window_epochs(self.info.score_window, int(self.config["epochs"])))

    @property
    def baseline(self) -> bool:
        """Whether the trial is the BASELINE."""
        return self.number == 0


def find_trial(run: RunFolder, wanted: str | None = None) -> Trial:
    """Find a scored trial of a run.

    Parameters
    ----------
    run : RunFolder
        The run.
    wanted : str, optional
        The trial's number, its id in the files, ``best`` (the default) or ``baseline``.

    Raises
    ------
    RunError
        If the run or trial does not exist or has no score.
    """
    info, trials = run.info(), run.trials()
    ranked = scored(trials, info.metric)
    if ranked.empty:
        raise RunError(
            f"run {run.name!r}: no trial has ended with a score;"
            f" {(info.status == 'finished' and first_failure(trials)) or 'wait for the search or resume it'}"
        )
    number = trial_number(run.name, trials, wanted, info.metric)
    row = trials.iloc[number]
    if row["status"] not in SCORED or math.isnan(row["val_accuracy"]):
        raise RunError(f"trial {run.name}:{number} is {row['status']}, so it has no score")
    is_best = (wanted or "").lower() != BASELINE and number == ranked.index[0]
    return Trial(
        run=run,
        info=info,
        number=number,
        trial_id=str(row["trial_id"]),
        status=str(row["status"]),
        best_epoch=int(row["best_epoch"]),
        val_accuracy=float(row["val_accuracy"]),
        # The trials of a run that warm-started this one were compared too.
        best_of=len(ranked) + (info.warm_start or {}).get("n_trials", 0) if is_best else 1,
        config=config_of({str(key): value for key, value in row.items()}, info.space),
    )


def trial_number(run: str, trials: pd.DataFrame, wanted: str | None, metric: Metric = "accuracy") -> int:
    """Find the number of a trial, which is its row in the table of trials.

    Parameters
    ----------
    run : str
        Name of the run.
    trials : DataFrame
        The table of the run's trials, with the default index.
    wanted : str or None
        See `find_trial`.
    metric : str
        The metric of the run, by which ``best`` is found.

    Raises
    ------
    RunError
        If no trial has this name; the message contains the nearest name.
    """
    ids = [str(trial_id) for trial_id in trials["trial_id"]]
    if wanted is None or wanted.lower() == BEST:
        return int(scored(trials, metric).index[0])
    if wanted.lower() == BASELINE:
        return 0
    if wanted in ids:
        return ids.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(ids):
        return int(wanted)
    # The id of a trial in its files is named only for something like it.
    near = next(iter(get_close_matches(wanted, [BEST, BASELINE, *ids], n=1)), BEST)
    if wanted.isdecimal():
        near = str(len(ids) - 1)
    raise RunError(
        f"run {run!r}: no trial {wanted!r}; the nearest name is {run}:{near}; the trials are numbered 0 to"
        f" {len(ids) - 1}"
    )


def nearest(wanted: str, names: Sequence[str]) -> str:
    """Return the name that is most similar to a mistyped one."""
    return next(iter(get_close_matches(wanted, names, n=1, cutoff=0)), "")


def named_trial(reference: str, runs: str) -> Trial:
    """Find a trial by ``RUN`` (its best) or ``RUN:TRIAL``; see `find_trial`."""
    name, _, wanted = reference.partition(":")
    return find_trial(existing_run(runs, name), wanted or None)


def existing_run(runs: str, name: str) -> RunFolder:
    """Return a run that exists.

    Raises
    ------
    RunError
        If no run has this name; the message contains the nearest name.
    """
    run = RunFolder.at(runs, name)
    if not run.folder.exists("run.json"):
        near = nearest(name, [other.name for other in RunFolder.all(runs)])
        hint = f"the nearest name is {near!r}; " if near else ""
        raise RunError(
            f"no run {name!r} in {runs}; {hint}'{command_name('results.leaderboard')}' lists the runs"
        )
    return run
