"""What a report reads of one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from results.evaluation.study import ended_at
from results.evaluation.trials import Trial, config_of, find_trial, has_score
from search.storage.run_folder import RunFolder, RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Material:
    """What a report says of one run is taken from this.

    Attributes
    ----------
    run : RunFolder
        The run.
    info : RunInfo
        Its record.
    best : Trial
        Its best trial.
    trials : DataFrame
        ``trials.parquet``, in the order of suggestion.
    history : DataFrame
        ``history.parquet``.
    ended : dict of str to datetime
        When each trial ended, as far as that is known.
    """

    run: RunFolder
    info: RunInfo
    best: Trial
    trials: pd.DataFrame
    history: pd.DataFrame
    ended: dict[str, datetime]

    @classmethod
    def read(cls, run: RunFolder) -> Material:
        """Read a run.

        Raises
        ------
        RunError
            If there is no such run, or no trial of it has a score.
        """
        best = find_trial(run)
        return cls(run, best.info, best, run.trials(), run.history(), ended_at(run))

    @property
    def scored(self) -> pd.DataFrame:
        """Trials with a score, in the order of suggestion."""
        return self.trials[has_score(self.trials)]

    def configurations(self) -> list[dict[str, Any]]:
        """Return the configuration of each trial of `scored`."""
        return [
            config_of({str(key): value for key, value in row.items()}, self.info.space)
            for row in self.scored.to_dict("records")
        ]
