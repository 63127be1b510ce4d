"""The run of a search that has ended, with its best trial."""

from __future__ import annotations

from typing import Any

from data.errors import RunError
from search.judgement import JudgedTrial, best_trial
from search.storage.run_folder import RunFolder


class SearchedRun(RunFolder):
    """What `search.run_search` returns: the folder of the run, and its best trial."""

    @property
    def best(self) -> JudgedTrial:
        """The best trial: its name, score, configuration and out-of-fold predictions.

        Raises
        ------
        RunError
            If no trial has a score.
        """
        best = best_trial(self) if self.folder.exists("trials.parquet") else None
        if best is None:
            raise RunError(f"run {self.name!r}: no trial has a score")
        return best

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self.best.config
