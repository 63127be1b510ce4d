"""Which trials of a run have a score, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.dataset.scores import COLUMNS, Metric, sign
from search.outcomes import COMPLETE, PRUNED

if TYPE_CHECKING:
    import pandas as pd

SCORED = (COMPLETE, PRUNED)
"""States of ranked trials; a stopped trial counts with its best epoch."""


def has_score(trials: pd.DataFrame) -> pd.Series[bool]:
    """Mask of the trials that are ranked."""
    return trials["status"].isin(SCORED) & trials["val_accuracy"].notna()


def scored(trials: pd.DataFrame, metric: Metric = "accuracy") -> pd.DataFrame:
    """Return the ranked trials, best first: by the metric of their run, then by loss."""
    return trials[has_score(trials)].sort_values(
        [COLUMNS[metric], "val_loss"], ascending=[sign(metric) < 0, True], kind="stable"
    )
