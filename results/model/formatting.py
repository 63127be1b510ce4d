"""Format a prediction as JSON content and as text."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from data.io.folder import printable
from results.model.classifier import Prediction

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


def text(prediction: Prediction, *, min_confidence: float = 0.0) -> str:
    """Format the genres, most likely first, and a timeline if the track has several segments."""
    count = len(prediction.segments)
    lines = [f"{printable(prediction.path)} ({count} segment{'s' if count > 1 else ''})"]
    if answer(prediction, min_confidence) == UNSURE:
        lines[0] += f": {UNSURE} (no genre reaches {100 * min_confidence:g} %)"
    width = max(map(len, prediction.probabilities))
    lines += [
        f"  {genre:<{width}}  {100 * probability:5.1f} %"
        for genre, probability in prediction.probabilities.items()
    ]
    if count > 1:
        lines += ["  timeline: " + ", ".join(timeline(prediction))]
    return "\n".join(lines)


def timeline(prediction: Prediction) -> list[str]:
    """Format the most likely genre over time; equal neighbouring segments are merged."""
    genres = [max(segment, key=lambda genre: segment[genre]) for segment in prediction.segments]
    entries = []
    for genre, segments in groupby(zip(prediction.start_s, genres, strict=True), key=lambda pair: pair[1]):
        minutes, seconds = divmod(round(next(segments)[0]), 60)
        entries.append(f"{minutes}:{seconds:02d} {genre}")
    return entries
