"""Running medians of 31 values, computed by a sorting network over whole arrays.

Eight neighbouring windows share 24 values, which are sorted once. Then the windows are split into groups of
four, two and one; each step merges the values that a group does not share and drops those that can no longer
be the median. The merges are Batcher's odd-even merges (Knuth, The Art of Computer Programming, volume 3,
5.3.4). Comparisons that do not affect a median are removed: 17 per value remain, a full sort needs 185. Each
comparison is a minimum or maximum of two arrays, which numpy computes at the speed of the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

SIZE = 31
_OUTPUTS = 8
_COLUMNS = 96
"""Columns per chunk, so that the network's arrays fit in the cache of a core."""

_Step = tuple[bool, int, int, int]
"""Whether the step is a maximum, the numbers of its two arguments, and the number of its result."""


class _Network:
    """A program of minima and maxima over numbered values."""

    def __init__(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs
        self.steps: list[_Step] = []

    def min_max(self, a: int, b: int) -> tuple[int, int]:
        first = self.n_inputs + len(self.steps)
        self.steps += [(False, a, b, first), (True, a, b, first + 1)]
        return first, first + 1

    def merge(self, x: Sequence[int], y: Sequence[int]) -> list[int]:
        """Merge two sorted lists."""
        if not x or not y:
            return [*x, *y]
        if len(x) == len(y) == 1:
            return list(self.min_max(x[0], y[0]))
        odd, even = self.merge(x[::2], y[::2]), self.merge(x[1::2], y[1::2])
        merged = [odd[0]]
        for number in range(max(len(odd) - 1, len(even))):
            pair = [*even[number : number + 1], *odd[number + 1 : number + 2]]
            merged += self.min_max(*pair) if len(pair) == 2 else pair
        return merged

    def sort(self, x: Sequence[int]) -> list[int]:
        """Sort a list."""
        half = len(x) // 2
        return list(x) if len(x) < 2 else self.merge(self.sort(x[:half]), self.sort(x[half:]))

    def steps_for(self, outputs: Sequence[int]) -> list[_Step]:
        """Return the steps that affect an output."""
        needed, steps = set(outputs), []
        for step in reversed(self.steps):
            if step[3] in needed:
                needed |= {step[1], step[2]}
                steps.append(step)
        return steps[::-1]


@cache
def _sorting() -> tuple[list[_Step], list[int]]:
    """Program that sorts eight values."""
    network = _Network(_OUTPUTS)
    outputs = network.sort(range(_OUTPUTS))
    return network.steps_for(outputs), outputs


@cache
def _selecting() -> tuple[list[_Step], list[int]]:
    """Program that computes eight medians from three sorted blocks of eight and 7 values on each side."""
    network = _Network(24 + 14)
    left, right = list(range(24, 31)), list(range(31, 38))
    shared = network.merge(network.merge(range(8), range(8, 16)), range(16, 24))[8:16]
    medians: list[int] = []
    for four, pairs in (
        (left[3:], ((left[1:3], left[0], right[0]), (right[0:2], left[2], right[2]))),
        (right[:4], ((left[5:], left[4], right[4]), (right[4:6], left[6], right[6]))),
    ):
        by_four = network.merge(shared, network.sort(four))[4:8]
        for two, *last in pairs:
            low, high = network.merge(by_four, network.sort(two))[2:4]
            medians += [network.min_max(low, network.min_max(value, high)[0])[1] for value in last]
    return network.steps_for(medians), medians


def _run(program: tuple[list[_Step], list[int]], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    steps, outputs = program
    values = dict(enumerate(inputs))
    last_use = {argument: number for number, step in enumerate(steps) for argument in step[1:3]}
    output_numbers = set(outputs)
    for number, (is_maximum, a, b, result) in enumerate(steps):
        values[result] = (np.maximum if is_maximum else np.minimum)(values[a], values[b])
        for argument in {a, b} - output_numbers:
            if last_use[argument] == number:
                del values[argument]
    return [values[output] for output in outputs]


def median_down_columns(S: np.ndarray) -> np.ndarray:
    """Compute the running median of `SIZE` values down each column, with mirrored ends.

    Bit-identical to ``scipy.ndimage.median_filter(S, size=(31, 1), mode="reflect")``.

    Parameters
    ----------
    S : ndarray of float32, shape (n_rows, n_columns)
        Values without NaN.
    """
    half = SIZE // 2
    n_blocks = -(-len(S) // _OUTPUTS)
    # The network reads complete blocks; rows beyond the mirrored ones affect only medians that are cut off.
    rows = np.pad(np.arange(len(S)), half, mode="symmetric")
    padded = np.zeros((_OUTPUTS * (n_blocks + 4) + 7, S.shape[1]), dtype=S.dtype)
    np.take(S, rows, axis=0, out=padded[: len(rows)], mode="clip")
    out = np.empty((n_blocks, _OUTPUTS, S.shape[1]), dtype=S.dtype)
    for start in range(0, S.shape[1], _COLUMNS):
        chunk = padded[:, start : start + _COLUMNS]
        # The sorted blocks start at the eighth value of a window.
        blocks = [chunk[7 + place :: _OUTPUTS][: n_blocks + 2] for place in range(_OUTPUTS)]
        ordered = _run(_sorting(), blocks)
        inputs = [block[number : number + n_blocks] for number in range(3) for block in ordered]
        inputs += [chunk[place::_OUTPUTS][:n_blocks] for place in (*range(7), *range(31, 38))]
        for place, median in enumerate(_run(_selecting(), inputs)):
            out[:, place, start : start + _COLUMNS] = median
    return out.reshape(n_blocks * _OUTPUTS, -1)[: len(S)]
