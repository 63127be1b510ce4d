from __future__ import annotations

import numpy as np

from results.model.reader import Window


def test_overlapping_windows_are_averaged_over_time() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    mean, step_s = Window(hop_s=1, length_s=2).over_time(rows, np.array([0.0, 1.0, 2.0]))
    # The middles are at 0.5, 1.5, 2.5 and 3.5 seconds; windows last from 0 to 2, 1 to 3, 2 to 4.
    assert step_s.tolist() == [0, 1, 2, 3]
    assert mean.tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0, 1]]


def test_the_last_window_may_be_closer_to_the_one_before() -> None:
    rows = np.eye(3)
    mean, step_s = Window(hop_s=2, length_s=4).over_time(rows, np.array([0.0, 2.0, 3.0]))
    # The middles are at 1, 3 and 5 seconds; windows last from 0 to 4, 2 to 6, 3 to 7.
    assert step_s.tolist() == [0, 2, 4]
    np.testing.assert_allclose(mean, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]])


def test_windows_with_gaps_stay_as_they_are() -> None:
    rows, starts = np.eye(2), np.array([0.0, 9.0])
    mean, step_s = Window(hop_s=9, length_s=3).over_time(rows, starts)
    assert (mean is rows, step_s is starts) == (True, True)
