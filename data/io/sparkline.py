"""A curve as one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw values from left to right as a line of blocks; higher blocks are higher values.

    Parameters
    ----------
    values : sequence of float
        Finite values. Of more than `width` values, an even selection is drawn, with the first and the last.
    width : int
        Maximum number of characters.

    Returns
    -------
    str
        The line; empty without values. Equal values are full blocks.
    """
    if not len(values) or width < 1:
        return ""
    n_drawn = min(len(values), width)
    step = (len(values) - 1) / max(1, n_drawn - 1)
    drawn = [float(values[math.floor(number * step + 0.5)]) for number in range(n_drawn - 1)]
    drawn.append(float(values[-1]))
    low, high = min(map(float, values)), max(map(float, values))
    if high <= low:
        return _BLOCKS[-1] * n_drawn
    return "".join(_BLOCKS[round((value - low) / (high - low) * (len(_BLOCKS) - 1))] for value in drawn)
