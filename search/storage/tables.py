"""The tables of a run, made from its study."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.trial import FrozenTrial

from search.storage.columns import HISTORY_COLUMNS, TRIAL_COLUMNS, TRIAL_NUMBERS, TrialRow
from search.storage.run_folder import RunFolder
from search.storage.study import CURVE, configuration


def trials_table(trials: Sequence[FrozenTrial]) -> pd.DataFrame:
    """Return one row per trial, in the order of suggestion.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        Trials of a study.

    Returns
    -------
    DataFrame
        `TRIAL_COLUMNS`, then one column ``config.NAME`` per parameter, sorted by name.
    """
    rows = [
        TrialRow.of(trial).columns() | {f"config.{key}": value for key, value in configuration(trial).items()}
        for trial in trials
    ]
    configured = sorted({key for row in rows for key in row if key.startswith("config.")})
    frame = pd.DataFrame(rows, columns=[*TRIAL_COLUMNS, *configured])
    return frame.astype(dict.fromkeys(TRIAL_NUMBERS, "float64")).astype({"epochs": "int64"})


def history_table(trials: Sequence[FrozenTrial]) -> pd.DataFrame:
    """Return one row per epoch of each ended trial, with `HISTORY_COLUMNS`."""
    rows = [
        {"trial_id": trial.user_attrs["trial_id"], **epoch}
        for trial in trials
        for epoch in trial.user_attrs.get(CURVE, ())
    ]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).astype({"epoch": "int64"})


def write_tables(run: RunFolder, study: optuna.Study) -> None:
    """Write ``trials.parquet`` and ``history.parquet`` of a run from its study."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if "trial_id" in trial.user_attrs]
    run.write_tables(trials_table(trials), history_table(trials))
