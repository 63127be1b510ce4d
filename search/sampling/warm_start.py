"""The best configurations of an earlier run, fitted to the space of a new search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from data.dataset.scores import COLUMNS, Metric, merit
from data.errors import RunError
from search.sampling.search_space import SearchSpace, contains
from search.storage.run_folder import RunFolder
from search.storage.study import configuration, open_study

_N_BEST = 5
"""Number of configurations to reuse."""


def warm_start(name: str, *, runs: str, space: SearchSpace) -> dict[str, Any]:
    """Return the best configurations of an earlier run, whose data and space may differ.

    Returns
    -------
    dict
        ``run``, ``trials`` (their names), ``configurations`` and ``n_trials``, the number of scored trials
        from which they were chosen. Numbers are clipped to the new ranges; parameters that the new space
        lacks or fixes are omitted.

    Raises
    ------
    RunError
        If the run does not exist, belongs to another family, or has no trial with a score.
    """
    run = RunFolder.at(runs, name)
    info = run.info()
    if info.family != space.family.name:
        raise RunError(
            f"--warm-start {name}: the run is of family {info.family}; this search is of {space.family.name}"
        )
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    scored = [
        trial
        for trial in open_study(run).get_trials(deepcopy=False, states=ended)
        if _score(trial, info.metric) > -math.inf
    ]
    if not scored:
        raise RunError(f"--warm-start {name}: no trial of the run has ended with a score")
    best = sorted(scored, key=lambda trial: _score(trial, info.metric), reverse=True)[:_N_BEST]
    # Trial 0 of every search is the BASELINE, so it is not repeated here.
    points = [fit(space.family.baseline(space.max_epochs), space)]
    trials = []
    for trial in best:
        point = fit(configuration(trial), space)
        if point not in points:
            trials.append(trial.user_attrs["trial_id"])
            points.append(point)
    # The earlier run may have been warm-started itself.
    n_trials = len(scored) + (info.warm_start or {}).get("n_trials", 0)
    return {"run": name, "trials": trials, "configurations": points[1:], "n_trials": n_trials}


def fit(config: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Return the parameters of a configuration that a space can suggest, clipped to its ranges."""
    fitter = _Fitter(config)
    space(fitter)
    return fitter.params


def _score(trial: FrozenTrial, metric: Metric) -> float:
    """Return the score of a trial, greater for better ones; minus infinity if it has none."""
    value = trial.user_attrs.get(COLUMNS[metric])
    return -math.inf if value is None else merit(float(value), metric)


class _Fitter:
    """Stand-in for a trial that suggests the values of a configuration, clipped to the space."""

    number = 1

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._take(name, CategoricalDistribution(choices), choices[0])

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return self._take(name, IntDistribution(low, high, log=log, step=step), low)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        return self._take(name, FloatDistribution(low, high, log=log, step=step), low)

    def _take(self, name: str, distribution: BaseDistribution, default: Any) -> Any:
        value = self._config.get(name)
        if isinstance(value, int | float) and isinstance(distribution, IntDistribution | FloatDistribution):
            value = min(max(value, distribution.low), distribution.high)
        if value is None or not contains(distribution, value):
            # The sampler will suggest this parameter; conditions on it still need a value here.
            return default
        self.params[name] = value
        return value
