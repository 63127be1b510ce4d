"""Find a trial of a run by name and read its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.dataset.scores import COLUMNS, Metric, sign
from data.errors import RunError
from search.storage.run_folder import RunFolder, first_failure
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "BASELINE"
"""Name of trial 0 in commands."""

SCORED = ("COMPLETE", "PRUNED")
"""States of ranked trials; a stopped trial counts with its best epoch."""

_CONFIG = "config."


@dataclass(frozen=True)
class Trial:
    """A scored trial.

    Attributes
    ----------
    run : RunFolder
        The run of the trial.
    info : RunInfo
        The run's record.
    trial_id : str
        The trial's name in the run.
    baseline : bool
        Whether the trial is the BASELINE.
    status : str
        One of `SCORED`.
    best_epoch : int
        The epoch, from 1, with the best score by the run's metric.
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


def scored(trials: pd.DataFrame, metric: Metric = "accuracy") -> pd.DataFrame:
    """Return the ranked trials, best first: by the metric of their run, then by loss."""
    return trials[has_score(trials)].sort_values(
        [COLUMNS[metric], "val_loss"], ascending=[sign(metric) < 0, True], kind="stable"
    )


def find_trial(run: RunFolder, trial_id: str | None = None) -> Trial:
    """Find a trial of a run.

    Parameters
    ----------
    run : RunFolder
        The run.
    trial_id : str, optional
        The trial's name, or ``BASELINE``; by default the best trial.

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
    is_best = trial_id != BASELINE and row["trial_id"] == ranked["trial_id"].iloc[0]
    return Trial(
        run=run,
        info=info,
        trial_id=str(row["trial_id"]),
        baseline=row["trial_id"] == trials["trial_id"].iloc[0],
        status=str(row["status"]),
        best_epoch=int(row["best_epoch"]),
        val_accuracy=float(row["val_accuracy"]),
        # The trials of a run that warm-started this one were compared too.
        best_of=len(ranked) + (info.warm_start or {}).get("n_trials", 0) if is_best else 1,
        config=config_of({str(key): value for key, value in row.items()}, info.space),
    )


def named_trial(reference: str, runs: str) -> Trial:
    """Find a trial by ``RUN`` (its best) or ``RUN:TRIAL_ID``; see `find_trial`."""
    name, _, trial_id = reference.partition(":")
    return find_trial(RunFolder.at(runs, name), trial_id or None)


def config_of(row: Mapping[str, Any], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a row of ``trials.parquet``, with the types of the search space.

    The table stores integers as floats and missing values as NaN if some trials lack a parameter.

    Parameters
    ----------
    row : mapping
        A row; the configuration is stored under ``config.NAME``.
    space : mapping
        Optuna distributions as JSON content, by parameter name, as in ``run.json``.
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
    """Convert a value to the type that its distribution suggests."""
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
