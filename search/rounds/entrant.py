"""A family in a search over several: its run, its share of the cluster, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import optuna

from data.dataset.task import Task
from search.driver import search
from search.judgement import JudgedTrial, best_trial
from search.progress.search_view import SearchView
from search.progress.state import FamilyProgress
from search.settings import SearchSettings
from search.storage.run_folder import RunFolder
from search.storage.study import count_ended, count_started, create_study
from search.tune.resources import Resources, side_by_side


@dataclass(eq=False)
class Entrant:
    """A family in a search over several.

    Attributes
    ----------
    run : RunFolder
        Its run, which this process has locked.
    settings : SearchSettings
        The settings of the run.
    task : Task
        The rows that its trials see.
    concurrent : int
        Trials that run at the same time.
    beside : int
        The same while another family trains on the same cluster; 0 if only one family trains at a time.
    started, ended : int
        Trials that were started, and that have ended.
    seconds : float
        Time of its rounds so far.
    best : JudgedTrial or None
        Its best trial so far.
    """

    run: RunFolder
    settings: SearchSettings
    task: Task
    concurrent: int
    beside: int = 0
    started: int = 0
    ended: int = 0
    seconds: float = 0.0
    best: JudgedTrial | None = field(default=None, repr=False)

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.settings.family

    @property
    def uses_gpus(self) -> bool:
        """Whether its trials reserve GPUs."""
        return self.settings.gpus_per_trial > 0

    def read(self, progress: FamilyProgress | None = None) -> None:
        """Read how far the run is, and add its trials to the view."""
        study = create_study(self.run, optuna.samplers.RandomSampler(seed=0))
        if progress is not None:
            progress.read(study.get_trials(deepcopy=False))
        self.started, self.ended = count_started(study), count_ended(study)
        self.seconds = self.run.info().seconds
        if self.ended:
            self.best = best_trial(self.run)

    def train(
        self, trials: int, *, seconds_left: float | None, view: SearchView, shared: bool = False
    ) -> str | None:
        """Train some more trials; return why the run ended, ``interrupted`` after Ctrl-C.

        Parameters
        ----------
        trials : int
            Number of trials to end.
        seconds_left : float or None
            Seconds after which training stops, wherever it is.
        view : SearchView
            The view of the whole search.
        shared : bool
            Whether another family trains at the same time.
        """
        info = self.run.info()
        concurrent = self.beside if shared else self.concurrent
        budget = None if seconds_left is None else info.seconds + seconds_left
        settings = self.settings.model_copy(update={"time_budget": budget})
        if shared:
            # On a cluster that grows too, because the other family has its share.
            settings = settings.model_copy(update={"max_concurrent": concurrent})
        info = info.model_copy(
            update={
                "status": "running",
                "ended": None,
                "reason": None,
                "trials": max(self.started, self.ended + trials),
                "settings": {**info.settings, "time_budget": budget},
            }
        )
        self.run.write_info(info)
        search(self.run, info, settings, self.task, concurrent, view=view)
        self.read()
        return self.run.info().reason


def trials_beside(
    resources: Sequence[Resources],
    own: SearchSettings,
    all_settings: Sequence[SearchSettings],
    *,
    concurrent: int,
) -> int:
    """Return how many trials of a family run while another family trains; 0 if only one can.

    Families with GPUs train beside families without. If no family uses GPUs, two families get half of the
    trials each; but not on a cluster that may grow, because their numbers of trials are fixed.

    Parameters
    ----------
    resources : sequence of mapping
        What each node offers.
    own : SearchSettings
        Settings of the family.
    all_settings : sequence of SearchSettings
        Settings of all families of the search.
    concurrent : int
        Trials of the family that run at the same time while it trains alone.
    """
    with_gpus = next((each for each in all_settings if each.gpus_per_trial > 0), None)
    if with_gpus is None:
        return concurrent // 2 if len(all_settings) > 1 and own.address is None else 0
    numbers = side_by_side(
        resources, cpus=own.cpus_per_trial, gpus=with_gpus.gpus_per_trial, wanted=own.max_concurrent
    )
    return numbers[0 if own.gpus_per_trial > 0 else 1]
