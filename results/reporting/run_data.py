"""The data that the report reads from a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from results.evaluation.study import ended_at
from results.evaluation.trials import Trial, find_trial
from search.storage.columns import config_of
from search.storage.ranking import has_score
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunData:
    """The data of one run.

    Attributes
    ----------
    run : RunFolder
        The run.
    info : RunInfo
        The record of the run.
    best : Trial
        The best trial of the run.
    trials : DataFrame
        ``trials.parquet``, in the order of suggestion.
    history : DataFrame
        ``history.parquet``.
    ended : dict of str to datetime
        When each trial ended; empty if this is unknown.
    """

    run: RunFolder
    info: RunInfo
    best: Trial
    trials: pd.DataFrame
    history: pd.DataFrame
    ended: dict[str, datetime]

    @classmethod
    def read(cls, run: RunFolder) -> RunData:
        """Read a run.

        Raises
        ------
        RunError
            If the run does not exist or has no scored trial.
        """
        best = find_trial(run)
        return cls(run, best.info, best, run.trials(), run.history(), ended_at(run))

    @property
    def scored(self) -> pd.DataFrame:
        """The scored trials, in the order of suggestion."""
        return self.trials[has_score(self.trials)]

    def configurations(self) -> list[dict[str, Any]]:
        """Return the configuration of each trial of `scored`."""
        return [
            config_of({str(key): value for key, value in row.items()}, self.info.space)
            for row in self.scored.to_dict("records")
        ]
