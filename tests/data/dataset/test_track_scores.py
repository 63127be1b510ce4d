from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

from data.dataset.splits import make_split
from data.dataset.task import search_task
from data.dataset.track_scores import scores, track_probabilities, vote
from tests.support.rows import make_rows


def test_vote_is_the_mean_of_the_segments() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    voted = vote(probabilities, np.array([1, 0, 1]), 3)
    assert voted == pytest.approx(np.array([[0.2, 0.8], [0.65, 0.35], [0.0, 0.0]]))


@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 40))
def test_scores_equal_those_of_scikit_learn(seed: int, n_classes: int, n_tracks: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(n_classes), size=n_tracks)
    truth = rng.integers(n_classes, size=n_tracks)
    judged, genres = scores(probabilities, truth), range(n_classes)
    chosen, certain = probabilities.argmax(axis=1), np.maximum(probabilities, 1e-7)
    assert judged["val_accuracy"] == np.mean(chosen == truth)
    assert judged["val_loss"] == pytest.approx(log_loss(truth, certain, labels=genres))
    expected = f1_score(truth, chosen, labels=np.unique(truth), average="macro", zero_division=0)
    assert judged["val_macro_f1"] == pytest.approx(expected)


def test_certain_and_wrong_is_a_finite_loss() -> None:
    assert np.isfinite(scores(np.array([[1.0, 0.0]]), np.array([1]))["val_loss"])


def test_each_track_is_judged_by_the_fold_that_did_not_train_on_it() -> None:
    rows = make_rows(tracks=9, segments=2)
    task = search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.0, seed=0))
    by_fold = tuple(np.eye(3)[np.full(len(fold.valid), number)] for number, fold in enumerate(task.folds))
    judged = track_probabilities(task, by_fold)
    assert judged.shape == (27, 3)
    for number, fold in enumerate(task.folds):
        assert (judged[np.unique(task.track[fold.valid])].argmax(axis=1) == number).all()
