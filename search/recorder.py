"""The tables of a run, taken from its study: one source, and one way from it to ``trials.parquet``."""

from __future__ import annotations

import time
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from ray.tune import Callback
from ray.tune.experiment import Trial

from search.truthful import CURVE
from spaces.training.run_folder import HISTORY_COLUMNS, TRIAL_COLUMNS, RunFolder

_REWRITE_SECONDS = 2.0
"""The tables are rewritten at most this often, because each rewrite is whole."""

_NUMBERS = (
    "epochs",
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "train_accuracy",
    "params",
    "seconds",
)


def trials_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """One row a trial, in the order of suggestion: `TRIAL_COLUMNS`, then ``config.*`` sorted by name."""
    rows = [_row(trial) for trial in trials]
    configured = sorted({key for row in rows for key in row if key.startswith("config.")})
    frame = pd.DataFrame(rows, columns=[*TRIAL_COLUMNS, *configured])
    return frame.astype(dict.fromkeys(_NUMBERS, "float64")).astype({"epochs": "int64"})


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    row = {name: attributes.get(name) for name in TRIAL_COLUMNS}
    row["status"] = attributes["outcome"] if attributes.get("outcome") == "OOM" else trial.state.name
    row["epochs"] = attributes.get("epochs", len(trial.intermediate_values))
    row["error"] = attributes.get("error") or None
    if trial.state == TrialState.FAIL:
        row.update(
            dict.fromkeys(("best_epoch", "val_accuracy", "val_loss", "val_macro_f1", "train_accuracy"))
        )
    return row | {f"config.{key}": value for key, value in trial.params.items()}


def history_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """One row an epoch of a trial: `HISTORY_COLUMNS`."""
    rows = [
        {"trial_id": trial.user_attrs["trial_id"], **epoch}
        for trial in trials
        for epoch in trial.user_attrs.get(CURVE, ())
    ]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).astype({"epoch": "int64"})


def write_tables(run: RunFolder, study: optuna.Study) -> None:
    """Write ``trials.parquet`` and ``history.parquet`` of a run as its study stands."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if "trial_id" in trial.user_attrs]
    run.write_tables(trials_table(trials), history_table(trials))


class Recorder(Callback):
    """Rewrites the tables as trials end.

    Parameters
    ----------
    run : RunFolder
        Where to.
    study : Study
        Where from.
    """

    def __init__(self, run: RunFolder, study: optuna.Study) -> None:
        self._run = run
        self._study = study
        self._written = 0.0

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial that ended or was stopped."""
        self._write()

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial whose worker died for good."""
        self._write()

    def _write(self) -> None:
        if time.monotonic() - self._written > _REWRITE_SECONDS:
            write_tables(self._run, self._study)
            self._written = time.monotonic()
