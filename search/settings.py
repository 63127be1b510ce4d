"""What a search is asked for: the command line's options, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import spaces
from data.errors import SettingsError
from search.schedulers import SCHEDULERS, default_grace_period, rungs
from search.searchers import SEARCHERS

Positive = Annotated[int, Field(ge=1)]


class SearchSettings(BaseModel):
    """Settings of one search, named as the options of ``python -m search.run`` are.

    Attributes
    ----------
    family : str
        The model family.
    cache : str or None
        Folder or URI of the cache; None for the demo data set.
    name : str or None
        The run's name; None makes one of the family and the time.
    trials : int
        Number of trials, the BASELINE included.
    max_epochs : int
        Epochs that a trial has at most.
    folds : int or None
        Folds of the cross-validation, 1 for a hold-out; None for the family's own default.
    test_fraction : float
        Share of the tracks that is locked away.
    splits : str or None
        CSV file of a given partition, in place of folds.
    searcher, scheduler : str
        Names of the sampler and of the early stopping.
    grace_period : int or None
        Epochs before ASHA may stop a trial; None for a quarter of `max_epochs`.
    reduction_factor : int
        ASHA keeps one trial in this many at each rung.
    time_budget : float or None
        Seconds after which no more is trained.
    max_concurrent : int or None
        Trials at the same time; None for as many as the resources hold.
    cpus_per_trial, gpus_per_trial : float
        What a trial reserves.
    address : str or None
        A Ray cluster to use; None starts a local one.
    runs : str
        Folder of the runs.
    seed : int
        Drives split, sampler, initial weights, shuffling and augmentation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    cache: str | None = None
    name: str | None = None
    trials: Positive = 40
    max_epochs: Positive = 100
    folds: Positive | None = None
    test_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    splits: str | None = None
    searcher: str = "tpe"
    scheduler: str = "asha"
    grace_period: Positive | None = None
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    time_budget: Annotated[float, Field(gt=0)] | None = None
    max_concurrent: Positive | None = None
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0
    address: str | None = None
    runs: str = "runs"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @classmethod
    def checked(cls, **options: Any) -> SearchSettings:
        """Make settings and check how they go together.

        Raises
        ------
        SettingsError
            In one line, for the first option that cannot work.
        """
        try:
            settings = cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            option = "--" + str(first["loc"][0]).replace("_", "-")
            raise SettingsError(f"{option} {first['input']}: {first['msg'].lower()}") from error
        settings._check()
        return settings

    def _check(self) -> None:
        spaces.get(self.family)
        for option, value, known in (
            ("--searcher", self.searcher, SEARCHERS),
            ("--scheduler", self.scheduler, SCHEDULERS),
        ):
            if value not in known:
                raise SettingsError(f"{option} {value}: unknown; choose one of {', '.join(known)}")
        if self.name is not None and (not self.name.strip(".") or {"/", "\\"} & set(self.name)):
            raise SettingsError(f"--name {self.name}: a run's name is one folder's name, without a slash")
        if "://" in self.runs:
            raise SettingsError(f"--runs {self.runs}: the study's journal needs a local folder")
        if self.grace_period is not None and self.grace_period > self.max_epochs:
            raise SettingsError(
                f"--grace-period {self.grace_period}: longer than --max-epochs {self.max_epochs}"
            )

    @property
    def grace(self) -> int:
        """Grace period in epochs, the default filled in."""
        return self.grace_period or default_grace_period(self.max_epochs)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs at which the scheduler decides."""
        return tuple(rungs(self.max_epochs, self.grace, self.reduction_factor))
