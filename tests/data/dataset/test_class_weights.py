from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from data.dataset.class_weights import class_weights


def test_balanced_weights_equal_those_of_scikit_learn() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    weights = class_weights("balanced", labels, 3)
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    assert weights is not None
    assert weights[labels].mean() == pytest.approx(1)


def test_a_genre_without_rows_has_weight_0() -> None:
    weights = class_weights("balanced", np.array([0, 0, 2]), 3)
    assert weights is not None
    assert weights.tolist() == [0.75, 0, 1.5]


def test_none_returns_no_weights() -> None:
    assert class_weights("none", np.array([0, 1]), 2) is None
