"""Evaluation of a log of scores: best so far over time, time to a mark, trials and epochs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MARKS = (0.73, 0.76, 0.79)
"""Validation accuracies: the study's own, and two that only a search reaches."""


def read_scores(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Read a log, sorted by time; skip invalid lines, such as a last line that the time limit cut."""
    scores = []
    for line in lines:
        try:
            scores.append(json.loads(line))
        except ValueError:
            continue
    return sorted(scores, key=lambda score: score["seconds"])


def best_so_far(scores: Sequence[dict[str, Any]], *, budget: float) -> list[tuple[float, float]]:
    """Return the improvements of the best score within the budget, as pairs of seconds and accuracy."""
    best, curve = 0.0, []
    for score in scores:
        if score["seconds"] <= budget and score["accuracy"] > best:
            best = score["accuracy"]
            curve.append((score["seconds"], best))
    return curve


def time_to(curve: Sequence[tuple[float, float]], mark: float) -> float:
    """Return the seconds until the first accuracy of at least `mark`; infinity if there is none."""
    return next((seconds for seconds, accuracy in curve if accuracy >= mark), math.inf)


def count_trials_epochs(scores: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Count the trials with a score, and the epochs (of all folds) that they trained in total.

    A trial that resumes from another trial's weights counts only its own epochs.
    """
    epochs: dict[str, list[int]] = {}
    for score in scores:
        epochs.setdefault(score["trial"], []).append(score["epoch"])
    # A trial with a single score was scored only at its end, after all its epochs.
    total = sum(
        max(scored) if len(scored) == 1 else max(scored) - min(scored) + 1 for scored in epochs.values()
    )
    return len(epochs), total


def median(values: Sequence[float]) -> float:
    """Return the median of values that may be infinite."""
    return float(statistics.median(values))


def at_times(curve: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Return the best accuracy at each time, shape (n_times,); NaN before the first score."""
    moments = np.array([seconds for seconds, _ in curve])
    values = np.array([math.nan, *(accuracy for _, accuracy in curve)])
    return np.asarray(values[np.searchsorted(moments, times, side="right")])
