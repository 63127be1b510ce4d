"""The settings of a search, with the names of the command-line options."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

import spaces
from data.dataset.class_weights import ClassWeight
from data.dataset.scores import METRIC_WORDS, Metric
from data.errors import SettingsError
from data.io.documents import Problem
from data.io.extras import check_installed
from search.sampling.samplers import SEARCHERS
from search.storage.run_names import check_run_name
from search.storage.rungs import LAST_SHARE, Rungs, make_rungs
from search.tune.schedulers import SCHEDULERS, most_brackets

NO_PARTITION = "none"
"""Value of ``--splits`` that sets the partition of a cache aside."""
_MIN_RESOURCE = 1e-4
"""Smallest share of a core or GPU that Ray can count."""

Positive = Annotated[int, Field(ge=1)]


class SearchSettings(BaseModel):
    """Settings of one search; the names are those of the options of ``python -m search.run``.

    Attributes
    ----------
    family : str
        The model family.
    cache : str or None
        Folder or URI of the cache; None for the demo data set.
    name : str or None
        Name of the run; None for a name made from the family and the time.
    trials : int
        Number of trials, including the BASELINE.
    max_epochs : int
        Maximum number of epochs per trial.
    folds : int or None
        Folds of the cross-validation, 1 for a hold-out; None for the default of the family.
    test_fraction : float
        Fraction of the tracks in the locked test set.
    splits : str or None
        CSV file with the user's own partition, which replaces folds; ``none`` sets aside the partition that
        came with the collection; None uses that if there is one.
    searcher, scheduler : str
        Names of the sampler and of the early stopping rule.
    grace_period : float or None
        Share of its own epochs that a trial trains before it may be stopped, at most two thirds. None for a
        quarter (``hyperband``: two rungs below the end), but at least the minimum of epochs of the family.
    metric : str
        Metric of the validated tracks that chooses the best epoch and the best trial.
    class_weight : str
        Whether the training loss weights genres by the inverse of their number of rows (``balanced``).
    reduction_factor : int
        ASHA keeps one trial in this many at each rung.
    brackets : int
        Number of ASHA brackets; each gives its trials more epochs before the first decision.
    patience : int or None
        A trial ends after this many epochs without improvement; the BASELINE is exempt.
    target : float or None
        The search ends when a trial reaches this score by `metric`: 0.8 is 80 %; a log loss is reached from
        above.
    stagnation : int or None
        The search ends after this many complete trials without improvement.
    set : dict
        Fixed parameters; the BASELINE keeps its own values. Values may be text from the command line.
    space : str or None
        YAML file with other ranges.
    warm_start : str or None
        Earlier run whose best configurations are tried after the BASELINE.
    portfolio : bool
        Whether to try the family's portfolio after the BASELINE: configurations that did well on other data,
        and for slow families neighbours of the first of them. Not used with `warm_start` or a grid.
    weights : str or None
        Source of pretrained weights: ``imagenet``, ``none`` or a file; None for the default of the family.
    time_budget : float or None
        Seconds after which training stops.
    max_concurrent : int or None
        Number of concurrent trials; None for as many as fit.
    cpus_per_trial, gpus_per_trial : float
        Resources that a trial reserves.
    address : str or None
        Ray cluster to use; None starts a local instance.
    runs : str
        Folder of the runs.
    seed : int
        Seed of split, sampler, brackets, initial weights, shuffling and augmentation.
    deterministic : bool
        Whether TensorFlow uses only deterministic operations: exact repeats on a GPU, possibly slower.
    tensorboard : bool
        Whether to write TensorBoard event files.
    mlflow, wandb : str or None
        MLflow's tracking URI, and the project in Weights & Biases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    cache: str | None = None
    name: str | None = None
    trials: Positive = 40
    max_epochs: Positive = 100
    folds: Positive | None = None
    test_fraction: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.2
    splits: str | None = None
    searcher: str = "tpe"
    scheduler: str = "asha"
    metric: Metric = "accuracy"
    class_weight: ClassWeight = "none"
    grace_period: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    brackets: Positive = 1
    patience: Positive | None = None
    target: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    stagnation: Positive | None = None
    set: dict[str, Any] = {}
    space: str | None = None
    warm_start: str | None = None
    portfolio: bool = True
    weights: str | None = None
    time_budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_concurrent: Positive | None = None
    cpus_per_trial: Annotated[float, Field(ge=_MIN_RESOURCE, allow_inf_nan=False)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    address: str | None = None
    runs: str = "runs"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    tensorboard: bool = False
    mlflow: str | None = None
    wandb: str | None = None

    @field_validator("set", mode="before")
    @classmethod
    def _parse_pairs(cls, pairs: Any) -> Any:
        """Parse the ``KEY=VALUE`` texts of the command line."""
        if not isinstance(pairs, list | tuple):
            return pairs
        for pair in pairs:
            if "=" not in str(pair).strip("="):
                raise PydanticCustomError("pair", "expected KEY=VALUE")
        return dict(str(pair).split("=", 1) for pair in pairs)

    @classmethod
    def checked(cls, **options: Any) -> SearchSettings:
        """Create settings and check them for contradictions.

        Raises
        ------
        SettingsError
            In one line, for the first option that cannot work.
        """
        try:
            settings = cls(**options)
        except ValidationError as error:
            problem = Problem.first(error)
            option = _typed(str(problem.location[0]))
            if problem.kind == "extra_forbidden":
                raise SettingsError(_no_such_option(option)) from error
            value = problem.value
            text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
            message = problem.message if problem.kind == "pair" else problem.message.lower()
            raise SettingsError(f"{option} {text}: {message}") from error
        settings.check()
        return settings

    def check(self) -> None:
        """Check the settings for contradictions.

        Raises
        ------
        SettingsError
            In one line, for the first option that cannot work.
        """
        spaces.get(self.family)
        for option, value, known in (
            ("--searcher", self.searcher, SEARCHERS),
            ("--scheduler", self.scheduler, SCHEDULERS),
        ):
            if value not in known:
                raise SettingsError(f"{option} {value}: unknown; choose one of {', '.join(known)}")
        if self.name is not None:
            check_run_name(self.name, "--name")
        if 0 < self.gpus_per_trial < _MIN_RESOURCE:
            raise SettingsError(
                f"--gpus-per-trial {self.gpus_per_trial:g}: give 0, or at least {_MIN_RESOURCE:g}"
            )
        if self.gpus_per_trial > 1 and not self.gpus_per_trial.is_integer():
            raise SettingsError(
                f"--gpus-per-trial {self.gpus_per_trial:g}: give a fraction of one GPU, or a whole number"
            )
        if self.folds is not None and self.splits_file is not None:
            raise SettingsError(
                "--folds cannot be used with --splits, because the file defines the partition"
            )
        if self.splits_file is not None and self.wanted_test_fraction is not None:
            raise SettingsError(
                "--test-fraction cannot be used with --splits, because the file defines the partition"
            )
        if self.target is not None and self.target > 1 and self.metric != "log_loss":
            raise SettingsError(
                f"--target {self.target:g}: {METRIC_WORDS[self.metric]} is at most 1; 80 % is 0.8"
            )
        self._check_scheduler()
        if self.searcher == "grid" and self.warm_start is not None:
            raise SettingsError("--warm-start cannot be used with --searcher grid, which tries every point")
        for option, extra, is_used in (
            ("--searcher gp", "gp", self.searcher == "gp"),
            ("--tensorboard", "tensorboard", self.tensorboard),
            ("--mlflow", "mlflow", self.mlflow is not None),
            ("--wandb", "wandb", self.wandb is not None),
        ):
            if is_used:
                check_installed(extra, option=option)

    def _check_scheduler(self) -> None:
        if self.patience is not None and self.patience > self.max_epochs:
            raise SettingsError(f"--patience {self.patience}: longer than --max-epochs {self.max_epochs}")
        if self.grace_period is not None and self.grace_period > LAST_SHARE:
            raise SettingsError(
                f"--grace-period {self.grace_period:g}: give a share of a trial's epochs, from 0 to"
                f" {LAST_SHARE:.2f}; 0.25 is a quarter of them"
            )
        factor_is_given = self.reduction_factor != self._default("reduction_factor")
        if self.scheduler in ("median", "none") and factor_is_given:
            raise SettingsError(
                f"--reduction-factor cannot be used with --scheduler {self.scheduler}, which has no rungs"
            )
        if self.grace_period is not None and self.scheduler == "none":
            raise SettingsError("--grace-period cannot be used with --scheduler none, which stops no trial")
        if self.brackets > 1 and self.scheduler != "asha":
            raise SettingsError(
                f"--brackets cannot be used with --scheduler {self.scheduler}, only with asha"
            )
        most = most_brackets(self.rungs)
        if self.scheduler == "asha" and self.brackets > most:
            grace = f"--grace-period {self.rungs.values[0]:g}"
            raise SettingsError(
                f"--brackets {self.brackets}: at most {most} with {grace} and --reduction-factor"
                f" {self.reduction_factor}"
            )

    @classmethod
    def _default(cls, option: str) -> Any:
        return cls.model_fields[option].default

    @property
    def splits_file(self) -> str | None:
        """The CSV file with the user's own partition, if any."""
        return None if self.splits == NO_PARTITION else self.splits

    @property
    def wanted_test_fraction(self) -> float | None:
        """The test fraction, if it is not the default."""
        return self.test_fraction if self.test_fraction != self._default("test_fraction") else None

    @property
    def rungs(self) -> Rungs:
        """Points of a trial at which the scheduler decides."""
        return make_rungs(
            self.scheduler,
            grace_period=self.grace_period,
            reduction_factor=self.reduction_factor,
            min_epochs=spaces.get(self.family).min_epochs,
        )


def _typed(field: str) -> str:
    """Return a setting as typed in commands."""
    return "--" + field.replace("_", "-")


def _no_such_option(option: str) -> str:
    """Return the message of the command for an unknown option."""
    known = sorted(map(_typed, SearchSettings.model_fields))
    near = get_close_matches(option, known)
    return click.NoSuchOption(option, possibilities=near).format_message()
