"""Which parameters mattered: Optuna's fANOVA, and PED-ANOVA where that cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from results.reporting.figure import ACCENT, Figure, axis, numbers
from results.reporting.run_data import Material

_LEAST = 6
"""Fewer trials than this say nothing about parameters."""
_FOREST = 1000
"""fANOVA's forest is grown on at most so many trials, the latest, because its time grows with them."""
_SHOWN = 15


@dataclass(frozen=True)
class Importances:
    """Importance of parameters.

    Attributes
    ----------
    shares : dict of str to float
        Share of the variance by parameter, the greatest first; empty where nothing can be said.
    method : str
        Which estimator, or why there is none.
    """

    shares: dict[str, float]
    method: str


def importances(one: Material) -> Importances:
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
        name: optuna.distributions.json_to_distribution(_json(described))
        for name, described in one.info.space.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    scores = one.scored["val_accuracy"].tolist()
    for config, score in list(zip(one.configurations(), scores, strict=True))[-_FOREST:]:
        known = {name: value for name, value in config.items() if name in space}
        try:
            study.add_trial(
                optuna.trial.create_trial(
                    params=known, distributions={name: space[name] for name in known}, value=score
                )
            )
        except ValueError:  # a value outside the space that was searched, as the BASELINE's may be
            continue
    count = len(study.get_trials(deepcopy=False))
    if count < _LEAST:
        return Importances(
            {}, f"{count} trials are too few to weigh parameters; at least {_LEAST} are needed"
        )
    if len(set(scores)) < 2:
        return Importances({}, "all trials have the same score, so no parameter mattered")
    for method, evaluator in (
        ("fANOVA", FanovaImportanceEvaluator(seed=0)),
        ("PED-ANOVA", PedAnovaImportanceEvaluator()),
    ):
        try:
            found = get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):
            continue
        if found:
            return Importances(dict(found), f"{method} (Optuna) over {count} trials")
    return Importances({}, "no parameter varied in all trials")


def _json(described: object) -> str:
    import json

    return json.dumps(described)


def importance_figure(found: Importances) -> Figure:
    """Bars, the greatest on top."""
    shares = dict(list(found.shares.items())[:_SHOWN])
    return Figure(
        "importance",
        "Parameter importance",
        f"Share of the variance of the validation accuracy, by {found.method}; stopped trials count with"
        " their best epoch. Parameters that only some trials have are left out. It says what mattered in this"
        " space, not in which direction.",
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
