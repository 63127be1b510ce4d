"""The best trial's predictions: confusion matrix, genres, confused pairs and confident errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from results.evaluation.predictions import OutOfFoldPredictions

_MAX_ERRORS = 12
_MAX_PAIRS, _MAX_EXAMPLES = 4, 2


@dataclass(frozen=True)
class GenreRow:
    """A genre in the tables: its tracks by predicted genre, and its recall and precision in percent.

    Attributes
    ----------
    genre : str
        The true genre.
    counts : list of int
        Number of its tracks per predicted genre.
    shares : list of float
        The same as fractions of the genre's tracks.
    n : int
        Number of its tracks.
    recall, precision : float
        In percent.
    """

    genre: str
    counts: list[int]
    shares: list[float]
    n: int
    recall: float
    precision: float


@dataclass(frozen=True)
class Mistake:
    """A track with a wrong prediction: its genres, and their probabilities in percent."""

    track: str
    truth: str
    predicted: str
    probability: float
    of_truth: float


@dataclass(frozen=True)
class ConfusedPair:
    """A genre that is taken for another.

    Attributes
    ----------
    truth, predicted : str
        The genres.
    count, n : int
        Number of confused tracks, and of all tracks of the true genre.
    examples : list of Mistake
        The most confident of them.
    """

    truth: str
    predicted: str
    count: int
    n: int
    examples: list[Mistake]


def genre_rows(predictions: OutOfFoldPredictions, classes: list[str]) -> list[GenreRow]:
    """Return the rows of the confusion matrix, in the order of `classes`."""
    by_genre = predictions.numbers["genres"]
    rows = []
    for genre, counts in zip(classes, predictions.numbers["confusion"], strict=True):
        n, scores = sum(counts), by_genre[genre]
        shares = [count / max(n, 1) for count in counts]
        rows.append(
            GenreRow(genre, list(counts), shares, n, 100 * scores["recall"], 100 * scores["precision"])
        )
    return rows


def confident_errors(predictions: OutOfFoldPredictions, classes: list[str]) -> list[Mistake]:
    """List the wrong predictions with the highest probability, highest first."""
    return [_mistake(predictions, classes, row) for row in _wrong(predictions)[:_MAX_ERRORS]]


def confused_pairs(
    predictions: OutOfFoldPredictions, classes: list[str], shown: list[Mistake]
) -> list[ConfusedPair]:
    """List the genres that are confused most often, with examples that are not `shown` yet if possible.

    Parameters
    ----------
    predictions : OutOfFoldPredictions
        The predictions.
    classes : list of str
        The genres.
    shown : list of Mistake
        Mistakes that the page shows anyway.
    """
    counts = np.array(predictions.numbers["confusion"])
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    predicted = predictions.probabilities.argmax(axis=1)
    wrong, known = _wrong(predictions), {mistake.track for mistake in shown}
    pairs = []
    for cell in np.argsort(-counts, axis=None, kind="stable")[:_MAX_PAIRS].tolist():
        truth, other = divmod(cell, len(classes))
        if counts[truth, other] < 2:
            break
        rows = [row for row in wrong if predictions.truth[row] == truth and predicted[row] == other]
        rows.sort(key=lambda row: predictions.track_id[row] in known)  # the confident ones stay first
        examples = [_mistake(predictions, classes, row) for row in rows[:_MAX_EXAMPLES]]
        pairs.append(
            ConfusedPair(
                classes[truth], classes[other], int(counts[truth, other]), int(totals[truth]), examples
            )
        )
    return pairs


def _wrong(predictions: OutOfFoldPredictions) -> list[int]:
    """Return the rows of the wrong predictions, the most confident first."""
    wrong = np.flatnonzero(predictions.probabilities.argmax(axis=1) != predictions.truth)
    confidence = predictions.probabilities.max(axis=1)
    return wrong[np.argsort(-confidence[wrong], kind="stable")].tolist()


def _mistake(predictions: OutOfFoldPredictions, classes: list[str], row: int) -> Mistake:
    probabilities, truth = predictions.probabilities[row], predictions.truth[row]
    predicted = int(probabilities.argmax())
    return Mistake(
        predictions.track_id[row],
        classes[truth],
        classes[predicted],
        100 * float(probabilities[predicted]),
        100 * float(probabilities[truth]),
    )
