"""Landmarks, which identify copies of a recording, and the union of groups that contain copies.

Landmarks are pairs of spectral peaks (Wang, "An industrial strength audio search algorithm", ISMIR 2003).
Their distances do not change if a copy has another level, offset or codec. Of all pairs, a fixed fraction is
kept, selected by a hash, so that an excerpt keeps the same pairs as the whole recording. They are compared by
`data.collection.near_duplicates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from data.analysis.stft import Spectrum

LANDMARK = np.dtype([("hash", "<u4"), ("time", "<u4")])
"""A pair of peaks: its hash, and the frame of its first peak."""

_BAND_EDGES_HZ = (100, 250, 400, 700, 1100, 1700, 2600, 4000)
_REACH = 10
"""A peak is the maximum of its band within this many frames on both sides."""
_FAN = 5
_MAX_DELAY = 127
_KEEP_ONE_IN = 8
"""One of this many pairs is kept."""


def landmarks(spectrum: Spectrum, *, first_frame: int = 0) -> np.ndarray:
    """Landmarks of a segment.

    Parameters
    ----------
    spectrum : Spectrum
        The transform of the segment.
    first_frame : int
        Frame of the track at which the segment starts.

    Returns
    -------
    ndarray of LANDMARK, shape (n,)
        About four per second; none in silence.
    """
    from scipy.ndimage import maximum_filter1d

    times: list[np.ndarray] = []
    bins: list[np.ndarray] = []
    edges = np.searchsorted(spectrum.frequencies, _BAND_EDGES_HZ)
    loud = spectrum.power.max(initial=0.0) * 1e-7
    for low, high in pairwise(edges):
        if high <= low:
            continue
        band = spectrum.power[:, low:high]
        position = band.argmax(axis=1)
        height = band[np.arange(len(band)), position]
        peak = np.flatnonzero((height == maximum_filter1d(height, 2 * _REACH + 1)) & (height > loud))
        times.append(peak)
        bins.append(low + position[peak])
    time = np.concatenate(times) if times else np.empty(0, dtype=np.int64)
    if not len(time):
        return np.empty(0, dtype=LANDMARK)
    order = np.lexsort((np.concatenate(bins), time))
    time, pitch = time[order], np.concatenate(bins)[order]
    pieces = []
    for step in range(1, _FAN + 1):
        delay = time[step:] - time[:-step]
        near = (delay > 0) & (delay <= _MAX_DELAY)
        # Between copies, peaks move by half a bin or frame, so both are rounded.
        code = (
            (pitch[:-step][near] // 2).astype(np.uint32) << 16
            | (pitch[step:][near] // 2).astype(np.uint32) << 7
            | (delay[near] // 2).astype(np.uint32)
        )
        kept = _mixed(code) % _KEEP_ONE_IN == 0
        part = np.empty(int(kept.sum()), dtype=LANDMARK)
        part["hash"] = code[kept]
        part["time"] = time[:-step][near][kept] + first_frame
        pieces.append(part)
    return np.concatenate(pieces)


def _mixed(code: np.ndarray) -> np.ndarray:
    """Mix the bits of each number (the finaliser of MurmurHash3), so that the kept fraction is uniform."""
    code = code ^ (code >> np.uint32(16))
    code = code * np.uint32(0x85EBCA6B)
    code = code ^ (code >> np.uint32(13))
    code = code * np.uint32(0xC2B2AE35)
    return code ^ (code >> np.uint32(16))


def united_groups(groups: Sequence[str], same: Iterable[tuple[int, int]]) -> list[str]:
    """Return the group of each track after merging groups that share a recording.

    Parameters
    ----------
    groups : sequence of str
        Original group of each track.
    same : iterable of (int, int)
        Pairs of tracks that must share a group.

    Returns
    -------
    list of str
        Name of each group: the alphabetically first of those that were merged.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, member = np.unique(np.array(groups, dtype=object), return_inverse=True)
    pairs = np.array(list(same), dtype=np.int64).reshape(-1, 2)
    edges = (np.ones(len(pairs)), (member[pairs[:, 0]], member[pairs[:, 1]]))
    _, component = connected_components(coo_array(edges, shape=(len(names), len(names))), directed=False)
    first = np.full(component.max(initial=-1) + 1, len(names))
    np.minimum.at(first, component, np.arange(len(names)))
    return [str(names[first[component[number]]]) for number in member]
