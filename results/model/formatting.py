"""A prediction as data and as text."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from data.io.folder import printable
from results.model.classifier import Prediction

UNSURE = "unsure"
"""Answer in place of a genre whose probability is below the least confidence."""


def answer(prediction: Prediction, min_confidence: float) -> str:
    """Return the genre, or `UNSURE` if its probability is below `min_confidence`."""
    return prediction.genre if prediction.probabilities[prediction.genre] >= min_confidence else UNSURE


def record(prediction: Prediction, *, min_confidence: float = 0.0, **also: Any) -> dict[str, Any]:
    """Return JSON-like content of a prediction: the genre, all probabilities, and the segments in time."""
    return {
        "file": printable(prediction.path),
        **also,
        "genre": answer(prediction, min_confidence),
        "probabilities": prediction.probabilities,
        "segments": [
            {"start_s": start, "probabilities": share}
            for start, share in zip(prediction.start_s, prediction.segments, strict=True)
        ],
    }


def text(prediction: Prediction, *, min_confidence: float = 0.0) -> str:
    """Lines that tell the genres, the likeliest first, and the timeline of a track of several segments."""
    count = len(prediction.segments)
    lines = [f"{printable(prediction.path)} ({count} segment{'s' if count > 1 else ''})"]
    if answer(prediction, min_confidence) == UNSURE:
        lines[0] += f": {UNSURE} (no genre has {100 * min_confidence:g} %)"
    width = max(map(len, prediction.probabilities))
    lines += [
        f"  {genre:<{width}}  {100 * share:5.1f} %" for genre, share in prediction.probabilities.items()
    ]
    if count > 1:
        lines += ["  timeline: " + ", ".join(timeline(prediction))]
    return "\n".join(lines)


def timeline(prediction: Prediction) -> list[str]:
    """From when on which genre is the likeliest: neighbouring segments that agree are one entry."""
    likeliest = [max(share, key=lambda genre: share[genre]) for share in prediction.segments]
    told = []
    for genre, stretch in groupby(zip(prediction.start_s, likeliest, strict=True), key=lambda pair: pair[1]):
        minutes, seconds = divmod(round(next(stretch)[0]), 60)
        told.append(f"{minutes}:{seconds:02d} {genre}")
    return told
