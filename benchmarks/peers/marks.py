"""Evaluation of a log of scores: best so far over time, time to a mark, trials and epochs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MARKS = (0.73, 0.76, 0.79)
"""Validation accuracies: that of the study, and two that need a search."""


def read_scores(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Read a log, sorted by time; a last line that the budget cut short is left out."""
    scores = []
    for line in lines:
        try:
            scores.append(json.loads(line))
        except ValueError:
            continue
    return sorted(scores, key=lambda score: score["seconds"])


def best_so_far(scores: Sequence[dict[str, Any]], *, budget: float) -> list[tuple[float, float]]:
    """Return the moments at which the best score rose, inside the budget: seconds and accuracy."""
    best, curve = 0.0, []
    for score in scores:
        if score["seconds"] <= budget and score["accuracy"] > best:
            best = score["accuracy"]
            curve.append((score["seconds"], best))
    return curve


def time_to(curve: Sequence[tuple[float, float]], mark: float) -> float:
    """Seconds until a score of at least `mark`; infinity if it was never reached."""
    return next((seconds for seconds, accuracy in curve if accuracy >= mark), math.inf)


def count_trials_epochs(scores: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Trials that had a score, and the epochs (of all folds) that they trained together.

    A trial that goes on with another's weights counts the epochs of its own.
    """
    epochs: dict[str, list[int]] = {}
    for score in scores:
        epochs.setdefault(score["trial"], []).append(score["epoch"])
    # A trial that is scored at its end alone trained all its epochs for it.
    total = sum(max(seen) if len(seen) == 1 else max(seen) - min(seen) + 1 for seen in epochs.values())
    return len(epochs), total


def median(values: Sequence[float]) -> float:
    """Median of values that may be infinite."""
    return float(statistics.median(values))


def at_times(curve: Sequence[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Best accuracy at given times, shape (n_times,); NaN before the first score."""
    moments = np.array([seconds for seconds, _ in curve])
    values = np.array([math.nan, *(accuracy for _, accuracy in curve)])
    return np.asarray(values[np.searchsorted(moments, times, side="right")])
