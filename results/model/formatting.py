"""Format a prediction as JSON content, and over time."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from data.io.folder import printable
from results.model.prediction import Prediction

UNSURE = "unsure"
"""Printed if the probability of the best genre is below the minimum confidence."""


def answer(prediction: Prediction, min_confidence: float) -> str:
    """Return the genre, or `UNSURE` if its probability is below `min_confidence`."""
    return prediction.genre if prediction.probabilities[prediction.genre] >= min_confidence else UNSURE


def record(prediction: Prediction, *, min_confidence: float = 0.0, **extra: Any) -> dict[str, Any]:
    """Return the JSON content of a prediction: genre, probabilities, and segments with their start."""
    return {
        "file": printable(prediction.path),
        **extra,
        "genre": answer(prediction, min_confidence),
        "probabilities": prediction.probabilities,
        "segments": [
            {"start_s": start, "probabilities": probabilities}
            for start, probabilities in zip(prediction.start_s, prediction.segments, strict=True)
        ],
    }


def timeline(prediction: Prediction) -> list[str]:
    """Format the most likely genre over time; equal neighbouring segments are merged."""
    genres = [max(segment, key=lambda genre: segment[genre]) for segment in prediction.segments]
    entries = []
    for genre, segments in groupby(zip(prediction.start_s, genres, strict=True), key=lambda pair: pair[1]):
        minutes, seconds = divmod(round(next(segments)[0]), 60)
        entries.append(f"{minutes}:{seconds:02d} {genre}")
    return entries
