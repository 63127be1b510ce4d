"""Find tracks of one recording among any number of tracks, in constant memory.

Landmarks that follow each other in a track make up keys so specific that tracks of different recordings
hardly share one. Keys are spread over files by their values, so that a file holds all that can be equal, and
only one file is in memory at a time. Tracks that share keys are then compared landmark by landmark.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

Chunks = Callable[[], Iterator[Sequence[np.ndarray]]]
"""Gives the landmarks of all tracks, in order, some tracks at a time: arrays of `duplicates.LANDMARK`."""

_FAN = 5
"""Landmarks that follow one in time and with which it makes up a key."""
_KEPT_IN = 4
"""One key in this many is kept, the same in every track."""
_ENTRY = np.dtype([("key", "<u8"), ("track", "<u4")])
_ENTRIES = 1 << 22
"""Keys of a file, on average: with what sorting takes, 150 MB."""
_NEXT = 3
"""Of the tracks that have a key, each is paired with so many that come after it, which connects them all."""
_MIN_KEYS = 2
"""Keys that two tracks share before they are compared; copies of the real tracks share 9 to 300."""
_PAIRS = 1 << 14
"""Pairs that are compared at a time, with the landmarks of their tracks in memory."""
_OFTEN = 8
"""A landmark that occurs more often in a track says nothing about its position: a drum machine."""
_BUCKET = 4
"""Frames over which offsets are counted together."""
_MIN_AGREEING = 10
_MIN_SHARE = 0.08


def near_duplicates(chunks: Chunks) -> np.ndarray:
    """Pairs of tracks of one recording.

    Parameters
    ----------
    chunks : callable
        Gives the landmarks of all tracks; called several times.

    Returns
    -------
    ndarray of int64, shape (n_pairs, 2)
        Numbers of tracks, the smaller first, for which enough landmarks agree at one offset. Of many tracks
        of one recording, not all pairs are returned, but enough to connect them.
    """
    candidates = _candidates(chunks)
    agreeing = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(candidates), _PAIRS):
        block = candidates[start : start + _PAIRS]
        sketches = _sketches(chunks, np.unique(block))
        same = [_agree(sketches[a], sketches[b]) for a, b in block.tolist()]
        agreeing.append(block[np.array(same, dtype=bool)])
    return np.concatenate(agreeing)


def _candidates(chunks: Chunks) -> np.ndarray:
    """Pairs of tracks that share some keys, int64, shape (n_pairs, 2), sorted."""
    n_marks = sum(len(sketch) for some in chunks() for sketch in some)
    n_files = -(-n_marks * _FAN // (_KEPT_IN * _ENTRIES))
    pair_keys, count = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    for entries in _files_of_keys(chunks, n_files):
        pairs = np.concatenate([pair_keys, _sharing(entries)])
        weight = np.concatenate([count, np.ones(len(pairs) - len(pair_keys), dtype=np.int64)])
        pair_keys, inverse = np.unique(pairs, return_inverse=True)
        count = np.bincount(inverse, weight, minlength=len(pair_keys)).astype(np.int64)
    pair_keys = pair_keys[count >= _MIN_KEYS]
    return np.column_stack((pair_keys >> np.uint64(32), pair_keys & np.uint64(0xFFFFFFFF))).astype(np.int64)


def _files_of_keys(chunks: Chunks, n_files: int) -> Iterator[np.ndarray]:
    """Give the entries of all tracks, those with equal keys together; from files if they are many."""
    if n_files <= 1:
        yield np.concatenate([np.empty(0, dtype=_ENTRY), *_entries(chunks)])
        return
    with tempfile.TemporaryDirectory(prefix="genre-search-") as folder:
        paths = [Path(folder) / str(number) for number in range(n_files)]
        for entries in _entries(chunks):
            # By high bits: low ones chose which keys are kept.
            file = (_mixed(entries["key"]) >> np.uint64(32)) % np.uint64(n_files)
            order = np.argsort(file, kind="stable")
            bounds = np.searchsorted(file[order], np.arange(n_files + 1))
            for number, path in enumerate(paths):
                with path.open("ab") as stream:
                    stream.write(entries[order[bounds[number] : bounds[number + 1]]].tobytes())
        for path in paths:
            yield np.fromfile(path, dtype=_ENTRY)
            path.unlink()


def _entries(chunks: Chunks) -> Iterator[np.ndarray]:
    """Keys of the tracks, chunk by chunk."""
    first = 0
    for sketches in chunks():
        size = [len(sketch) for sketch in sketches]
        track = np.repeat(np.arange(first, first + len(sketches), dtype=np.uint32), size)
        first += len(sketches)
        if not len(track):
            continue
        marks = np.concatenate(list(sketches))
        order = np.lexsort((marks["hash"], marks["time"], track))
        code, time, track = marks["hash"][order].astype(np.uint64), marks["time"][order], track[order]
        for step in range(1, _FAN + 1):
            same = np.flatnonzero(track[step:] == track[:-step])
            apart = np.minimum((time[same + step] - time[same]) // _BUCKET, 63).astype(np.uint64)
            # A landmark has 25 bits, the time between two of them 6.
            key = code[same] << np.uint64(31) | code[same + step] << np.uint64(6) | apart
            kept = _mixed(key) % np.uint64(_KEPT_IN) == 0
            part = np.empty(int(kept.sum()), dtype=_ENTRY)
            part["key"], part["track"] = key[kept], track[same[kept]]
            yield part


def _mixed(key: np.ndarray) -> np.ndarray:
    """Bits of each number well mixed (the finaliser of SplitMix64)."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _sharing(entries: np.ndarray) -> np.ndarray:
    """Pairs of tracks that share a key, as ``first << 32 | second``; once for each key."""
    order = np.lexsort((entries["track"], entries["key"]))
    key, track = entries["key"][order], entries["track"][order].astype(np.uint64)
    once = np.ones(len(key), dtype=bool)
    once[1:] = (key[1:] != key[:-1]) | (track[1:] != track[:-1])
    key, track = key[once], track[once]
    pairs = []
    for step in range(1, _NEXT + 1):
        same = np.flatnonzero(key[step:] == key[:-step])
        pairs.append(track[same] << np.uint64(32) | track[same + step])
    return np.concatenate(pairs)


def _sketches(chunks: Chunks, numbers: np.ndarray) -> dict[int, np.ndarray]:
    """Landmarks of some tracks, without those that are too frequent, sorted by hash."""
    chosen = set(numbers.tolist())
    sketches = {}
    number = 0
    for some in chunks():
        for sketch in some:
            if number in chosen:
                _, place, often = np.unique(sketch["hash"], return_inverse=True, return_counts=True)
                kept = sketch[often[place] <= _OFTEN]
                sketches[number] = kept[np.argsort(kept["hash"], kind="stable")]
            number += 1
    return sketches


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether enough landmarks of two tracks agree at one offset."""
    low = np.searchsorted(a["hash"], b["hash"], side="left")
    count = np.searchsorted(a["hash"], b["hash"], side="right") - low
    if not count.sum():
        return False
    start = np.repeat(low - np.concatenate(([0], np.cumsum(count)[:-1])), count)
    times = a["time"][start + np.arange(len(start))].astype(np.int64)
    offset = (np.repeat(b["time"].astype(np.int64), count) - times) // _BUCKET
    # An offset near the edge of a bucket falls in either of two neighbours: count both.
    _, votes = np.unique(np.concatenate((offset, offset + 1)), return_counts=True)
    return bool(votes.max() >= max(_MIN_AGREEING, _MIN_SHARE * min(len(a), len(b))))
