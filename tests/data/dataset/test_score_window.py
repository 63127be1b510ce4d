from __future__ import annotations

import numpy as np
import pytest

from data.dataset.score_window import ScoreWindow, window_epochs
from data.errors import RunError


@pytest.mark.parametrize(
    ("score_window", "horizon", "n_epochs"),
    [(1, 100, 1), (5, 1, 1), (5, 6, 1), (5, 10, 2), (5, 20, 4), (5, 30, 5), (5, 100, 5), (9, 100, 9)],
)
def test_the_window_is_limited_by_the_horizon(score_window: int, horizon: int, n_epochs: int) -> None:
    assert window_epochs(score_window, horizon) == n_epochs


@pytest.fixture
def epochs() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(3), size=(7, 4))


@pytest.mark.parametrize("n_epochs", [2, 3, 9])
def test_the_mean_is_over_the_last_epochs(epochs: np.ndarray, n_epochs: int) -> None:
    window = ScoreWindow(n_epochs)
    for epoch in range(len(epochs)):
        expected = epochs[max(0, epoch + 1 - n_epochs) : epoch + 1].mean(axis=0)
        np.testing.assert_allclose(window.add(epochs[epoch]), expected, atol=1e-7)


def test_a_window_of_one_epoch_changes_nothing(epochs: np.ndarray) -> None:
    window = ScoreWindow(1)
    for probabilities in epochs:
        assert (window.add(probabilities) == probabilities).all()
    assert window.state() is None


def test_the_mean_of_equal_epochs_is_exactly_the_same(epochs: np.ndarray) -> None:
    window = ScoreWindow(5)
    first = window.add(epochs[0])
    assert all((window.add(epochs[0]) == first).all() for _ in range(6))


@pytest.mark.parametrize("n_epochs", [1, 3, 9])
def test_a_restored_window_continues_with_the_same_means(epochs: np.ndarray, n_epochs: int) -> None:
    window = ScoreWindow(n_epochs)
    for probabilities in epochs[:5]:
        window.add(probabilities)
    restored = ScoreWindow(n_epochs)
    restored.restore(window.state(), epoch=5)
    for probabilities in epochs[5:]:
        assert (restored.add(probabilities) == window.add(probabilities)).all()


def test_the_state_of_another_window_is_refused(epochs: np.ndarray) -> None:
    window = ScoreWindow(3)
    for probabilities in epochs:
        window.add(probabilities)
    for n_epochs in (1, 2, 4):
        with pytest.raises(RunError, match="lacks the probabilities of earlier epochs"):
            ScoreWindow(n_epochs).restore(window.state(), epoch=7)
    with pytest.raises(RunError, match="lacks the probabilities"):
        ScoreWindow(3).restore(None, epoch=1)
    ScoreWindow(3).restore(None, epoch=0)
