"""What the best trial gets right and wrong: confusion matrix, genres, tracks that it is surely wrong on."""

from __future__ import annotations

from typing import Any

import numpy as np

from results.evaluation.predictions import OutOfFoldPredictions
from results.reporting.figure import ACCENT, GOOD, Figure, axis, numbers

_WRONG = 15


def confusion(judgement: OutOfFoldPredictions, classes: list[str]) -> Figure:
    """Draw the confusion matrix."""
    counts = np.array(judgement.numbers["confusion"])
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Figure(
        "confusion",
        "Confusion matrix",
        "A row a true genre, a column a chosen one: tracks, coloured by their share of the row.",
        [
            {
                "type": "heatmap",
                "x": classes,
                "y": classes,
                "z": [numbers(row, 3) for row in share],
                "text": [[str(count) if count else "" for count in row] for row in counts.tolist()],
                "texttemplate": "%{text}",
                "colorscale": [[0, "@panel"], [1, "@accent"]],
                "zmin": 0,
                "zmax": 100,
                "colorbar": {"thickness": 10, "title": {"text": "%"}},
                "hovertemplate": "%{y} taken for %{x}: %{text}, %{z:.0f} %<extra></extra>",
            }
        ],
        {
            "xaxis": axis("chosen", side="bottom", tickangle=-40),
            "yaxis": axis("true", autorange="reversed"),
            "height": 200 + 28 * len(classes),
        },
    )


def genres(judgement: OutOfFoldPredictions) -> Figure:
    """Precision and recall of each genre."""
    by_genre = judgement.numbers["genres"]
    return Figure(
        "genres",
        "Precision and recall by genre",
        "Precision: of the tracks called so, how many are. Recall: of those that are, how many are found.",
        [
            {
                "type": "bar",
                "name": side,
                "x": list(by_genre),
                "y": numbers(100 * one[side] for one in by_genre.values()),
                "text": [f"{one['n']} tracks" for one in by_genre.values()],
                "textposition": "none",
                "marker": {"color": colour},
                "hovertemplate": f"%{{x}}: {side} %{{y:.0f}} %, %{{text}}<extra></extra>",
            }
            for side, colour in (("precision", ACCENT), ("recall", GOOD))
        ],
        {"barmode": "group", "xaxis": axis(""), "yaxis": axis("%", range=[0, 100])},
    )


def surely_wrong(judgement: OutOfFoldPredictions, classes: list[str]) -> list[dict[str, Any]]:
    """Tracks that are judged wrong with the highest probability, the surest first."""
    chosen = judgement.probabilities.argmax(axis=1)
    sure = judgement.probabilities.max(axis=1)
    wrong = np.flatnonzero(chosen != judgement.truth)
    return [
        {
            "track": judgement.track_id[row],
            "truth": classes[judgement.truth[row]],
            "chosen": classes[chosen[row]],
            "probability": f"{100 * sure[row]:.1f} %",
            "of_truth": f"{100 * judgement.probabilities[row, judgement.truth[row]]:.1f} %",
        }
        for row in wrong[np.argsort(-sure[wrong], kind="stable")][:_WRONG].tolist()
    ]
