"""The model card of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.dataset.calibration import Calibration
from results.evaluation.trials import Trial
from results.exporting.calibration_report import calibration_section
from results.exporting.model_card import (
    SYNTHETIC,
    data_section,
    input_name,
    limits_section,
    numbers_section,
    usage_section,
)


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
    """Write the model card of an ensemble; see `results.exporting.model_card.model_card`."""
    first = trials[0]
    info = first.info
    head = (
        f"# Music genres from {input_name(first)}: an ensemble of {len(trials)} networks\n\n"
        f"A classifier of {len(info.classes)} genres: {', '.join(info.classes)}. Each member"
        " preprocesses the file in its own way; their probabilities are averaged with the weights below."
    )
    if info.cache.synthetic:
        head += f"\n\n{SYNTHETIC}"
    lines = [
        "## Members",
        "",
        "| family | trial | weight | validation accuracy | best epoch |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for trial, weight in zip(trials, weights, strict=True):
        lines.append(
            f"| {trial.info.family} | {trial.name} | {weight:.2f}"
            f" | {100 * trial.val_accuracy:.1f} % | {trial.best_epoch} |"
        )
    lines += ["", selection] if selection else []
    lines += ["", "The members were not evaluated individually on the test set."] if "test" in metrics else []
    sections = [
        head,
        numbers_section(trials, metrics, among, earlier_scorings),
        calibration_section(calibration),
        "\n".join(lines),
        data_section(first, n_trained),
        limits_section(first, metrics),
        usage_section(first),
    ]
    return "\n\n".join(sections) + "\n"
