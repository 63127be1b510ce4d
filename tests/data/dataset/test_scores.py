from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from data.dataset.scores import METRICS, Scores, check_metric, score
from data.errors import SettingsError


@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 40))
def test_scores_are_scikit_learns(seed: int, n_classes: int, n_tracks: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(n_classes), size=n_tracks)
    truth = rng.integers(n_classes, size=n_tracks)
    predicted, genres = probabilities.argmax(axis=1), range(n_classes)
    found = score(probabilities, truth)
    assert found.accuracy == accuracy_score(truth, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # predicted genres without a track
        assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    f1 = f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(f1)
    assert found.log_loss == pytest.approx(log_loss(truth, np.maximum(probabilities, 1e-7), labels=genres))


def test_each_metric_ranks_the_better_scores_higher() -> None:
    good, bad = Scores(0.9, 0.8, 0.7, 0.3), Scores(0.8, 0.7, 0.6, 0.4)
    for metric in METRICS:
        assert good.rank_key(metric) > bad.rank_key(metric)


def test_equal_scores_are_ranked_by_loss() -> None:
    assert Scores(0.9, 0.8, 0.7, 0.3).rank_key() > Scores(0.9, 0.9, 0.9, 0.4).rank_key()


def test_scores_go_by_their_columns_in_a_run() -> None:
    assert Scores(0.9, 0.8, 0.7, 0.3).columns() == {
        "val_accuracy": 0.9,
        "val_balanced_accuracy": 0.8,
        "val_macro_f1": 0.7,
        "val_loss": 0.3,
    }


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(SettingsError, match="--metric f1: not one of accuracy, balanced_accuracy"):
        check_metric("f1", np.array([0, 1]), ["blues", "disco"])


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_metric_over_genres_needs_a_track_of_each(metric: str) -> None:
    truth = np.array([0, 2, 2])
    with pytest.raises(SettingsError, match="genre 'disco' has no validated track"):
        check_metric(metric, truth, ["blues", "disco", "metal"])
    assert check_metric("log_loss", truth, ["blues", "disco", "metal"]) == "log_loss"
