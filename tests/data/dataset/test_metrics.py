from __future__ import annotations

import numpy as np
import pytest

from data.dataset.metrics import judge


def test_metrics_of_a_small_example() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    metrics = judge(probabilities, np.array([0, 1, 1, 1]), ["blues", "disco", "metal"])
    assert metrics["accuracy"] == 0.75
    assert metrics["low"] < 0.75 < metrics["high"]
    assert metrics["n"] == 4
    assert metrics["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert metrics["genres"]["blues"] == {"precision": 0.5, "recall": 1.0, "n": 1}
    assert metrics["genres"]["disco"]["recall"] == pytest.approx(2 / 3)
    assert metrics["genres"]["metal"] == {"precision": 0.0, "recall": 0.0, "n": 0}
    # A genre without tracks does not count.
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
