"""One trial of a run: found by name, its configuration as the search suggested it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.errors import RunError
from search.storage.run_folder import RunFolder, RunInfo, first_failure

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "BASELINE"
"""Name by which trial 0 can be asked for."""

SCORED = ("COMPLETE", "PRUNED")
"""States of trials that are ranked: a stopped trial has the honest score of its best epoch."""

_CONFIG = "config."


@dataclass(frozen=True)
class Trial:
    """A scored trial.

    Attributes
    ----------
    run : RunFolder
        Its run.
    info : RunInfo
        The run's record.
    trial_id : str
        Its name in the run.
    baseline : bool
        Whether it is the BASELINE.
    status : str
        One of `SCORED`.
    best_epoch : int
        The epoch, from 1, that validation chose.
    val_accuracy : float
        Share of the validated tracks that it gets right at that epoch.
    best_of : int
        How many scored trials of its run it is the best of; 1 for any other, and for a BASELINE by name,
        which its score did not choose.
    config : dict
        Its configuration.
    """

    run: RunFolder
    info: RunInfo
    trial_id: str
    baseline: bool
    status: str
    best_epoch: int
    val_accuracy: float
    best_of: int
    config: dict[str, Any]


def has_score(trials: pd.DataFrame) -> pd.Series[bool]:
    """Mask of the trials that are ranked."""
    return trials["status"].isin(SCORED) & trials["val_accuracy"].notna()


def scored(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that are ranked, best first: by accuracy, then by loss."""
    return trials[has_score(trials)].sort_values(
        ["val_accuracy", "val_loss"], ascending=[False, True], kind="stable"
    )


def find_trial(run: RunFolder, trial_id: str | None = None) -> Trial:
    """Find a trial of a run.

    Parameters
    ----------
    run : RunFolder
        The run.
    trial_id : str, optional
        The trial's name, or ``BASELINE``; the best one by default.

    Raises
    ------
    RunError
        If there is no such run or trial, or none that has a score.
    """
    info, trials = run.info(), run.trials()
    ranked = scored(trials)
    if ranked.empty:
        raise RunError(
            f"run {run.name!r}: no trial of it has ended with a score;"
            f" {(info.status == 'finished' and first_failure(trials)) or 'let the search go on'}"
        )
    if trial_id is None:
        row = ranked.iloc[0]
    elif trial_id == BASELINE:
        row = trials.iloc[0]
    else:
        named = trials[trials["trial_id"] == trial_id]
        if named.empty:
            raise RunError(
                f"run {run.name!r}: no trial {trial_id!r}; 'python -m results.leaderboard' lists the trials"
            )
        row = named.iloc[0]
    if row["status"] not in SCORED or math.isnan(row["val_accuracy"]):
        raise RunError(f"run {run.name!r}: trial {row['trial_id']} is {row['status']}, so it has no score")
    chosen = trial_id != BASELINE and row["trial_id"] == ranked["trial_id"].iloc[0]
    return Trial(
        run=run,
        info=info,
        trial_id=str(row["trial_id"]),
        baseline=row["trial_id"] == trials["trial_id"].iloc[0],
        status=str(row["status"]),
        best_epoch=int(row["best_epoch"]),
        val_accuracy=float(row["val_accuracy"]),
        best_of=len(ranked) if chosen else 1,
        config=config_of({str(key): value for key, value in row.items()}, info.space),
    )


def named_trial(reference: str, runs: str) -> Trial:
    """Find a trial by ``RUN`` (its best) or ``RUN:TRIAL_ID``; see `find_trial`."""
    name, _, trial_id = reference.partition(":")
    return find_trial(RunFolder.at(runs, name), trial_id or None)


def config_of(row: Mapping[str, Any], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a row of ``trials.parquet``, in the types that the space suggests.

    A table makes a float of an integer that some trials lack, and fills what they lack with NaN.

    Parameters
    ----------
    row : mapping
        With the configuration under ``config.NAME``.
    space : mapping
        Optuna's distributions in JSON, by name, as in ``run.json``.
    """
    config = {}
    for key, value in row.items():
        if not key.startswith(_CONFIG) or value is None or value != value:
            continue
        name = key.removeprefix(_CONFIG)
        plain = value.item() if hasattr(value, "item") else value
        config[name] = _as_suggested(plain, space.get(name))
    return config


def _as_suggested(value: Any, distribution: Mapping[str, Any] | None) -> Any:
    if distribution is None:
        return value
    attributes = distribution["attributes"]
    match distribution["name"]:
        case "IntDistribution":
            return int(value)
        case "FloatDistribution":
            return float(value)
        case _:
            return next((choice for choice in attributes["choices"] if choice == value), value)
