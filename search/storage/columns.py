"""Columns of a run's tables: the scores and numbers of a trial, named in one place.

Trials report them, the searcher stores them in the study, and the tables of a run contain them.
"""

from __future__ import annotations

EPOCH_METRICS = (
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "val_balanced_accuracy",
    "train_loss",
    "train_accuracy",
)
"""Metrics of an epoch."""

SCORES = tuple(metric for metric in EPOCH_METRICS if metric != "train_loss")
"""Metrics of a trial; they belong to its ``best_epoch``."""

TRIAL_NUMBERS = ("epochs", "best_epoch", *SCORES, "params", "seconds")
"""Numeric columns of ``trials.parquet``; a value may be missing."""

TRIAL_COLUMNS = ("trial_id", "status", *TRIAL_NUMBERS, "precision", "error")
"""Columns of ``trials.parquet`` besides ``config.*``; ``precision`` is Keras's dtype policy."""

HISTORY_COLUMNS = ("trial_id", "epoch", *EPOCH_METRICS)
"""Columns of ``history.parquet``; epochs count from 1."""
