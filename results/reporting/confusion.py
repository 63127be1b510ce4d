"""The best trial's predictions: confusion matrix, genres, and confident errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from results.evaluation.predictions import OutOfFoldPredictions
from results.reporting.figure import ACCENT, GOOD, Figure, axis, numbers

_MAX_ERRORS = 15


def confusion(predictions: OutOfFoldPredictions, classes: list[str]) -> Figure:
    """Draw the confusion matrix."""
    counts = np.array(predictions.numbers["confusion"])
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Figure(
        "confusion",
        "Confusion matrix",
        "One row per true genre, one column per predicted genre: number of tracks, coloured by row fraction.",
        [
            {
                "type": "heatmap",
                "x": classes,
                "y": classes,
                "z": [numbers(row, 3) for row in percent],
                "text": [[str(count) if count else "" for count in row] for row in counts.tolist()],
                "texttemplate": "%{text}",
                "colorscale": [[0, "@panel"], [1, "@accent"]],
                "zmin": 0,
                "zmax": 100,
                "colorbar": {"thickness": 10, "title": {"text": "%"}},
                "hovertemplate": "%{y} predicted as %{x}: %{text}, %{z:.0f} %<extra></extra>",
            }
        ],
        {
            "xaxis": axis("predicted", side="bottom", tickangle=-40),
            "yaxis": axis("true", autorange="reversed"),
            "height": 200 + 28 * len(classes),
        },
    )


def genres(predictions: OutOfFoldPredictions) -> Figure:
    """Draw precision and recall of each genre."""
    by_genre = predictions.numbers["genres"]
    return Figure(
        "genres",
        "Precision and recall by genre",
        "Precision: fraction of the tracks with this prediction that are correct. Recall: fraction of the"
        " tracks of this genre that are recognised.",
        [
            {
                "type": "bar",
                "name": side,
                "x": list(by_genre),
                "y": numbers(100 * scores[side] for scores in by_genre.values()),
                "text": [f"{scores['n']} tracks" for scores in by_genre.values()],
                "textposition": "none",
                "marker": {"color": colour},
                "hovertemplate": f"%{{x}}: {side} %{{y:.0f}} %, %{{text}}<extra></extra>",
            }
            for side, colour in (("precision", ACCENT), ("recall", GOOD))
        ],
        {"barmode": "group", "xaxis": axis(""), "yaxis": axis("%", range=[0, 100])},
    )


def confident_errors(predictions: OutOfFoldPredictions, classes: list[str]) -> list[dict[str, Any]]:
    """List the wrong predictions with the highest probability, highest first."""
    predicted = predictions.probabilities.argmax(axis=1)
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.truth)
    return [
        {
            "track": predictions.track_id[row],
            "truth": classes[predictions.truth[row]],
            "predicted": classes[predicted[row]],
            "probability": f"{100 * confidence[row]:.1f} %",
            "of_truth": f"{100 * predictions.probabilities[row, predictions.truth[row]]:.1f} %",
        }
        for row in wrong[np.argsort(-confidence[wrong], kind="stable")][:_MAX_ERRORS].tolist()
    ]
