from __future__ import annotations

import numpy as np

from benchmarks.score_window import averaged, compare


def test_the_average_is_over_the_last_epochs() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(7, 4))
    for window in (1, 2, 5, 9):
        expected = [probabilities[max(0, epoch + 1 - window) : epoch + 1].mean(axis=0) for epoch in range(7)]
        np.testing.assert_allclose(averaged(probabilities, window), expected)


def test_averaging_helps_if_epochs_are_noisy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    curves = [{1: np.eye(3)[truth] + rng.normal(scale=1.5, size=(30, 200, 3))} for _ in range(3)]
    frame = compare(curves, truth, [1, 9], halves=20, seed=0).set_index("window")
    assert frame.loc[1, "held out"] == frame.loc[1, "held out, last epoch"]
    assert frame.loc[9, "held out"] > frame.loc[1, "held out"] + 20
    # The choice itself is optimistic, on the half that chose.
    assert (frame["chosen on"] > frame["held out"]).all()
