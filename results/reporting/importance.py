"""Parameter importance: Optuna's fANOVA, or PED-ANOVA where fANOVA fails."""

from __future__ import annotations

import json
from dataclasses import dataclass

from results.reporting.figure import ACCENT, Figure, axis, numbers
from results.reporting.run_data import RunData

_MIN_TRIALS = 6
"""Fewer trials give no meaningful importance."""
_MAX_TRIALS = 1000
"""Only the latest trials are used, because the time of fANOVA grows with their number."""
_MAX_BARS = 15


@dataclass(frozen=True)
class Importances:
    """Importance of parameters.

    Attributes
    ----------
    shares : dict of str to float
        Fraction of the variance per parameter, largest first; empty if it cannot be estimated.
    method : str
        Name of the estimator, or the reason why there is no estimate.
    """

    shares: dict[str, float]
    method: str


def importances(run_data: RunData) -> Importances:
    """Estimate how much of the scores' variance each parameter explains.

    Trials that were stopped early count with the score of their best epoch.
    """
    import optuna
    from optuna.importance import (
        FanovaImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    space = {
        name: optuna.distributions.json_to_distribution(json.dumps(distribution))
        for name, distribution in run_data.info.space.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    scores = run_data.scored["val_accuracy"].tolist()
    for config, score in list(zip(run_data.configurations(), scores, strict=True))[-_MAX_TRIALS:]:
        params = {name: value for name, value in config.items() if name in space}
        try:
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions={name: space[name] for name in params}, value=score
                )
            )
        except ValueError:  # values outside the search space, possible for the BASELINE
            continue
    count = len(study.get_trials(deepcopy=False))
    if count < _MIN_TRIALS:
        return Importances({}, f"{count} trials are too few; at least {_MIN_TRIALS} are needed")
    if len(set(scores)) < 2:
        return Importances({}, "all trials have the same score, so no parameter has an effect")
    for method, evaluator in (
        ("fANOVA", FanovaImportanceEvaluator(seed=0)),
        ("PED-ANOVA", PedAnovaImportanceEvaluator()),
    ):
        try:
            shares = get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):
            continue
        if shares:
            return Importances(dict(shares), f"{method} (Optuna) over {count} trials")
    return Importances({}, "no parameter varied in all trials")


def importance_figure(importance: Importances) -> Figure:
    """Draw the importances as bars, the largest on top."""
    shares = dict(list(importance.shares.items())[:_MAX_BARS])
    return Figure(
        "importance",
        "Parameter importance",
        f"Fraction of the variance of the validation accuracy, by {importance.method}; stopped trials count"
        " with their best epoch. Parameters that only some trials have are omitted. Importance shows the size"
        " of an effect in this search space, not its direction.",
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": numbers(list(shares.values())[::-1]),
                "y": list(shares)[::-1],
                "marker": {"color": ACCENT},
                "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
            }
        ],
        {
            "xaxis": axis("importance", rangemode="tozero"),
            "yaxis": axis(""),
            "height": 120 + 24 * len(shares),
        },
    )
