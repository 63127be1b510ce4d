from __future__ import annotations

from data.io.sparkline import sparkline


def test_the_line_follows_the_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 1, 2], 20) == "█▁▅"
    assert sparkline([0.4], 5) == "█"
    assert sparkline([0.4, 0.4], 5) == "██"
    assert sparkline([], 5) == ""


def test_long_curves_are_thinned_evenly_with_both_ends() -> None:
    assert sparkline(list(range(1000)), 8) == "▁▂▃▄▅▆▇█"
    assert len(sparkline([0.1] * 1000, 60)) == 60
    assert sparkline([0.0] * 999 + [1.0], 4) == "▁▁▁█"
    assert sparkline([1.0, 0.0, 0.5], 1) == "▅"
