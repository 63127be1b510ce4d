"""The model card of an ensemble, from ``templates/ensemble_card.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.dataset.calibration import Calibration
from results.evaluation.trials import Trial
from results.exporting.model_card import render_card


def ensemble_card(
    trials: Sequence[Trial],
    metrics: dict[str, Any],
    *,
    n_trained: int,
    among: int,
    earlier_scorings: list[dict[str, Any]],
    weights: Sequence[float],
    calibration: Calibration | None = None,
    selection: str = "",
) -> str:
    """Write the model card of an ensemble.

    Parameters
    ----------
    trials : sequence of Trial
        The members.
    metrics, n_trained, among, earlier_scorings, calibration
        See `results.exporting.model_card.model_card`.
    weights : sequence of float
        Weight of each member.
    selection : str
        How the members were selected, in a sentence.

    Returns
    -------
    str
        Markdown.
    """
    return render_card(
        "ensemble_card.md",
        trials,
        metrics,
        n_trained=n_trained,
        among=among,
        earlier=earlier_scorings,
        calibration=calibration,
        correction=None,
        members=list(zip(trials, weights, strict=True)),
        selection=selection,
    )
