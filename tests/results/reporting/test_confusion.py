from __future__ import annotations

import numpy as np

from data.dataset.metrics import judge
from results.evaluation.predictions import OutOfFoldPredictions
from results.reporting.confusion import confident_errors, confused_pairs, genre_rows

CLASSES = ["blues", "disco", "metal"]


def made() -> OutOfFoldPredictions:
    """Blues is taken for metal three times and for disco once; one disco track for blues."""
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([2, 2, 2, 1, 0, 0, 1, 2])
    confidence = np.array([0.9, 0.7, 0.8, 0.6, 0.5, 0.95, 0.5, 0.5])
    probabilities = np.repeat((1 - confidence)[:, None] / 2, 3, axis=1)
    probabilities[np.arange(8), predicted] = confidence
    tracks = [f"t{number}" for number in range(8)]
    return OutOfFoldPredictions(tracks, truth, probabilities, judge(probabilities, truth, CLASSES, None))


def test_errors_are_listed_by_confidence() -> None:
    errors = confident_errors(made(), CLASSES)
    assert [error.track for error in errors] == ["t5", "t0", "t2", "t1", "t3"]
    assert (errors[0].truth, errors[0].predicted) == ("disco", "blues")
    assert round(errors[0].probability) == 95


def test_pairs_are_confused_twice_and_show_other_tracks_first() -> None:
    predictions = made()
    shown = confident_errors(predictions, CLASSES)[:2]
    (pair,) = confused_pairs(predictions, CLASSES, shown)
    assert (pair.truth, pair.predicted, pair.count, pair.n) == ("blues", "metal", 3, 5)
    assert [example.track for example in pair.examples] == ["t2", "t1"]


def test_rows_hold_counts_shares_and_rates() -> None:
    blues, disco, _ = genre_rows(made(), CLASSES)
    assert (blues.counts, blues.n) == ([1, 1, 3], 5)
    assert blues.shares == [0.2, 0.2, 0.6]
    assert (round(blues.recall), round(disco.precision)) == (20, 50)
