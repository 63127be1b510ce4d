"""Parameter importance with its uncertainty: Optuna's fANOVA, or PED-ANOVA where fANOVA fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from results.reporting.figure import ACCENT, QUIET, Figure, numbers, percent_axis
from results.reporting.run_data import RunData

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

MIN_TRIALS = 10
"""Fewer trials give no meaningful importance."""
_MAX_TRIALS = 1000
"""Only the latest trials are used, because the time of fANOVA grows with their number."""
_MAX_BARS = 15
_QUANTILES = (0.05, 0.95)
_TREES = 24
"""Trees of the forest for a resample; fewer than Optuna's 64 make the range a little wider, and save time."""


@dataclass(frozen=True)
class Importances:
    """Importance of parameters.

    Attributes
    ----------
    shares : dict of str to float
        Fraction of the variance per parameter, largest first; empty if it cannot be estimated.
    method : str
        Name of the estimator, or the reason why there is no estimate.
    ranges : dict of str to (float, float)
        The middle 90 % of the estimates on resampled trials, per parameter.
    resamples : int
        Number of resamples.
    """

    shares: dict[str, float]
    method: str
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    resamples: int = 0


def importances(run_data: RunData) -> Importances:
    """Estimate how much of the scores' variance each parameter explains, and how sure that is.

    Trials that were stopped early count with the score of their best epoch. The estimate is repeated on
    trials drawn with replacement, each time with another seed of the forest.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = _trials(run_data)
    if len(trials) < MIN_TRIALS:
        return Importances({}, f"{len(trials)} trials are too few; at least {MIN_TRIALS} are needed")
    if len({trial.value for trial in trials}) < 2:
        return Importances({}, "all trials have the same score, so no parameter has an effect")
    method = "fANOVA"
    shares = _shares(trials, FanovaImportanceEvaluator(seed=0))
    if not shares:
        method = "PED-ANOVA"
        shares = _shares(trials, PedAnovaImportanceEvaluator())
    if not shares:
        return Importances({}, "no parameter varied in all trials")
    rng = np.random.default_rng(0)
    estimates: dict[str, list[float]] = {name: [] for name in shares}
    # fANOVA of a thousand trials takes seconds.
    resamples = 20 if len(trials) <= 200 else 8
    for seed in range(1, resamples + 1):
        drawn = [trials[row] for row in rng.integers(len(trials), size=len(trials))]
        forest = FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
        resampled = _shares(drawn, forest if method == "fANOVA" else PedAnovaImportanceEvaluator())
        for name, values in estimates.items():
            values.append(resampled.get(name, 0.0))
    ranges = {
        name: (float(low), float(high))
        for name, values in estimates.items()
        for low, high in [np.quantile(values, _QUANTILES)]
    }
    return Importances(shares, f"{method} (Optuna) over {len(trials)} trials", ranges, resamples)


def _trials(run_data: RunData) -> list[FrozenTrial]:
    """Return the latest scored trials; without those whose values are outside the search space."""
    space = {
        name: optuna.distributions.json_to_distribution(json.dumps(distribution))
        for name, distribution in run_data.info.space.items()
    }
    scores = run_data.scored["val_accuracy"].tolist()
    trials = []
    for config, score in list(zip(run_data.configurations(), scores, strict=True))[-_MAX_TRIALS:]:
        params = {name: value for name, value in config.items() if name in space}
        try:
            trial = optuna.trial.create_trial(
                params=params, distributions={name: space[name] for name in params}, value=score
            )
        except ValueError:  # possible for the BASELINE
            continue
        trials.append(trial)
    return trials


def _shares(trials: Sequence[FrozenTrial], evaluator: BaseImportanceEvaluator) -> dict[str, float]:
    """Estimate the importance of the parameters that all trials have; empty if that is impossible."""
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    try:
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    except (ValueError, RuntimeError):
        return {}


def importance_figure(importance: Importances) -> Figure:
    """Draw the importances as bars with their uncertainty, the largest on top."""
    names = list(importance.shares)[:_MAX_BARS][::-1]
    shares = [100 * importance.shares[name] for name in names]
    low, high = ([100 * importance.ranges[name][end] for name in names] for end in (0, 1))
    return Figure(
        "importance",
        "Which parameters matter",
        "Share of the variance of the validation accuracy that a parameter explains, by"
        f" {importance.method}. The lines span the middle 90 % of {importance.resamples} estimates on"
        " resampled trials: where they overlap, the order is uncertain. Stopped trials count with their best"
        " epoch; parameters that only some trials have are omitted. Importance shows the size of an effect in"
        " this search space, not its direction.",
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": numbers(shares),
                "y": names,
                "marker": {"color": ACCENT},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": numbers(max(0.0, end - share) for end, share in zip(high, shares, strict=True)),
                    "arrayminus": numbers(
                        max(0.0, share - end) for end, share in zip(low, shares, strict=True)
                    ),
                    "color": QUIET,
                    "thickness": 2,
                },
                "hovertemplate": "%{y}: %{x:.0f} %<extra></extra>",
            }
        ],
        {
            "xaxis": percent_axis("share of the variance", rangemode="tozero"),
            "yaxis": {"automargin": True},
            "height": 110 + 24 * len(names),
        },
    )
