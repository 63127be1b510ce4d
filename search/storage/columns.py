"""The row of a trial: what trials report, the study stores, and ``trials.parquet`` contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from search.outcomes import FAIL, OOM

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

CONFIG = "config."
"""Prefix of the columns of ``trials.parquet`` with the configuration."""

EPOCH_METRICS = (
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "val_balanced_accuracy",
    "train_loss",
    "train_accuracy",
)
"""Metrics of an epoch."""

HISTORY_COLUMNS = ("trial_id", "epoch", *EPOCH_METRICS)
"""Columns of ``history.parquet``; epochs count from 1."""


@dataclass(frozen=True)
class TrialRow:
    """One row of ``trials.parquet``, without the configuration.

    A value is None if the trial did not report it: scores of a failed trial, metrics of an earlier version.

    Attributes
    ----------
    trial_id : str
        Name of the trial in the run.
    status : str
        State in the study, or ``OOM`` for a failure for lack of memory.
    epochs, best_epoch : int
        Number of trained epochs, and the epoch with the best score by the run's metric, from 1.
    val_accuracy, val_loss, val_macro_f1, val_balanced_accuracy : float
        Scores of the validated tracks at the best epoch.
    train_accuracy : float
        Accuracy on the training rows at the best epoch.
    params : int
        Trainable parameters of one fold's network.
    seconds : float
        Training time.
    precision : str
        Keras's dtype policy.
    error : str
        Traceback or reason of a failure.
    """

    trial_id: str
    status: str
    epochs: int
    best_epoch: int | None
    val_accuracy: float | None
    val_loss: float | None
    val_macro_f1: float | None
    val_balanced_accuracy: float | None
    train_accuracy: float | None
    params: int | None
    seconds: float | None
    precision: str | None
    error: str | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> TrialRow:
        """Return the row of a trial of a study."""
        attributes = trial.user_attrs
        # Not by Optuna's constant, because trials import this module without Optuna.
        failed = trial.state.name == FAIL
        values = {name: attributes.get(name) for name in REPORTED}
        if failed:
            values |= dict.fromkeys(SCORES)
        return cls(
            **{
                **values,
                "trial_id": attributes["trial_id"],
                # A trial whose worker was killed for memory resumes, and fails only if this repeats.
                "status": OOM if failed and attributes.get("outcome") == OOM else trial.state.name,
                "epochs": attributes.get("epochs", len(trial.intermediate_values)),
                "error": attributes.get("error") or None,
            }
        )

    def columns(self) -> dict[str, Any]:
        """Return the values by column."""
        return asdict(self)


TRIAL_COLUMNS = tuple(field.name for field in fields(TrialRow))
"""Columns of ``trials.parquet`` besides ``config.*``."""

REPORTED = TRIAL_COLUMNS[3:]
"""Columns that a trial reports itself, and that the study stores as user attributes."""

SCORES = ("best_epoch", *(metric for metric in EPOCH_METRICS if metric in TRIAL_COLUMNS))
"""Columns without a value if a trial failed: the best epoch and its metrics."""

TRIAL_NUMBERS = ("epochs", *REPORTED[: REPORTED.index("precision")])
"""Numeric columns; a value may be missing."""


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
        if not key.startswith(CONFIG) or value is None or value != value:
            continue
        name = key.removeprefix(CONFIG)
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
