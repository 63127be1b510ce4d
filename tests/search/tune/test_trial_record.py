from __future__ import annotations

import math

import numpy as np
import pytest

from data.dataset.epoch_predictions import EpochPredictions
from data.dataset.scores import METRICS, Metric, score
from data.errors import RunError
from search.tune.reports import epoch_merit
from search.tune.trial_record import TrialRecord

TRUTH = np.array([0, 1, 2, 0, 1, 2])


def epochs(count: int) -> list[np.ndarray]:
    """Probabilities that become better until the fourth epoch, and then worse."""
    rng = np.random.default_rng(0)
    quality = [3.0 - abs(number - 3) for number in range(count)]
    logits = [rng.normal(size=(6, 3)) + each * np.eye(3)[TRUTH] for each in quality]
    return [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in logits]


def filled(count: int, *, metric: Metric = "accuracy", window: int = 2) -> TrialRecord:
    record = TrialRecord(TRUTH, metric=metric, window=window)
    for probabilities in epochs(count):
        record.add(probabilities, train_loss=0.5, train_accuracy=0.9)
    return record


@pytest.mark.parametrize("metric", METRICS)
def test_the_best_epoch_is_that_of_the_best_window(metric: Metric) -> None:
    record = filled(7, metric=metric)
    means = [np.mean(epochs(7)[max(0, number - 1) : number + 1], axis=0) for number in range(7)]
    keys = [score(mean, TRUTH).rank_key(metric) for mean in means]
    best = max(range(7), key=keys.__getitem__)
    assert record.best["epoch"] == best + 1
    assert record.best_probabilities == pytest.approx(means[best], abs=1e-6)
    assert record.epoch_predictions.array().tolist() == [mean.argmax(axis=1).tolist() for mean in means]


def test_each_row_is_taken_once_with_its_merit() -> None:
    record = filled(3, metric="log_loss")
    rows = record.take_new_rows()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["score"] for row in rows] == [-row["val_loss"] for row in rows]
    assert record.take_new_rows() == []
    record.add(epochs(4)[3], train_loss=0.4, train_accuracy=1.0)
    assert [row["epoch"] for row in record.take_new_rows()] == [4]


def test_a_restored_record_continues_as_if_it_had_not_been_interrupted() -> None:
    whole, first = filled(7, window=3), filled(4, window=3)
    checkpoint = first.checkpoint({"seconds": 2.0}, {})
    assert checkpoint.progress["seconds"] == 2.0
    resumed = TrialRecord(TRUTH, metric="accuracy", window=3)
    resumed.restore(checkpoint, first.epoch_predictions)
    for probabilities in epochs(7)[4:]:
        resumed.add(probabilities, train_loss=0.5, train_accuracy=0.9)
    assert resumed.best == whole.best
    assert np.array_equal(resumed.best_probabilities, whole.best_probabilities)  # type: ignore[arg-type]
    assert resumed.take_new_rows() == whole.take_new_rows()


def test_a_checkpoint_of_another_window_changes_nothing() -> None:
    checkpoint = filled(4, window=1).checkpoint({}, {})
    record = TrialRecord(TRUTH, metric="accuracy", window=3)
    with pytest.raises(RunError, match="lacks the probabilities of earlier epochs"):
        record.restore(checkpoint, EpochPredictions(len(TRUTH)))
    assert (record.epoch, record.best, record.take_new_rows()) == (0, {}, [])


def test_a_trial_without_an_epoch_has_the_worst_merit() -> None:
    assert epoch_merit({}, "accuracy") == 0.0
    assert epoch_merit({}, "log_loss") == pytest.approx(math.log(1e-7))
    assert epoch_merit({"val_loss": 0.5}, "log_loss") == -0.5
