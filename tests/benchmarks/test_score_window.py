from __future__ import annotations

import numpy as np

import spaces
from benchmarks.score_window import averaged, compare, train
from data.dataset.splits import make_split
from data.dataset.task import search_task
from tests.support.rows import make_rows


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


def test_weights_of_one_epoch_predict_as_the_learner_does() -> None:
    rows = make_rows(tracks=10)
    task = search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.2, seed=0))
    config = dict(spaces.get("features_mlp").PORTFOLIO[2]) | {"epochs": 3}
    curves = train(config, task, family="features_mlp", seed=0, weight_windows=[0.3, 2])
    np.testing.assert_allclose(curves[0.3], curves[1], atol=2e-3)
    assert abs(curves[2][-1] - curves[1][-1]).max() > 1e-3
