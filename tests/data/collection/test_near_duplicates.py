from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from data.analysis.landmarks import LANDMARK
from data.collection import near_duplicates as matching
from data.collection.near_duplicates import near_duplicates


def sketch(rng: np.random.Generator, size: int = 200) -> np.ndarray:
    """Landmarks of a recording of 30 s."""
    marks = np.empty(size, dtype=LANDMARK)
    marks["hash"] = rng.integers(0, 1 << 25, size)
    marks["time"] = np.sort(rng.integers(0, 1292, size))
    return marks


def copied(original: np.ndarray, rng: np.random.Generator, *, share: float = 0.6) -> np.ndarray:
    """Part of the landmarks, later by 400 frames, and others."""
    kept = original[rng.random(len(original)) < share].copy()
    kept["time"] += 400
    return np.concatenate((sketch(rng, 50), kept))


def collection() -> tuple[list[np.ndarray], list[list[int]]]:
    """Return 600 tracks; some are copies of earlier ones."""
    rng = np.random.default_rng(0)
    tracks = [sketch(rng) for _ in range(590)]
    copies = [(7, 590), (8, 591), (300, 592), (589, 593)]
    return [*tracks, *(copied(tracks[a], rng) for a, _ in copies)], [list(pair) for pair in copies]


def in_chunks(tracks: list[np.ndarray], size: int = 100) -> matching.Chunks:
    def chunks() -> Iterator[list[np.ndarray]]:
        return (tracks[start : start + size] for start in range(0, len(tracks), size))

    return chunks


def test_copies_are_found() -> None:
    tracks, copies = collection()
    assert near_duplicates(in_chunks(tracks)).tolist() == copies


def test_keys_in_files_give_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks, copies = collection()
    monkeypatch.setattr(matching, "_ENTRIES", 10_000)
    monkeypatch.setattr(matching, "_PAIRS", 3)
    files = list(matching._files_of_keys(in_chunks(tracks), 15))
    assert len(files) == 15
    assert max(map(len, files)) < 1.2 * np.mean([len(file) for file in files])
    assert near_duplicates(in_chunks(tracks)).tolist() == copies


def test_many_copies_of_one_recording_are_connected() -> None:
    rng = np.random.default_rng(1)
    tracks = [sketch(rng) for _ in range(20)]
    tracks += [copied(tracks[3], rng, share=0.9) for _ in range(100)]
    pairs = near_duplicates(in_chunks(tracks))
    connected = {3}
    for a, b in sorted(pairs.tolist()):
        if a in connected:
            connected.add(b)
    assert connected == {3, *range(20, 120)}
    assert set(pairs.ravel().tolist()) == connected
    assert len(pairs) < 100 * 99 / 2


def test_a_loop_that_tracks_share_does_not_make_them_one_recording() -> None:
    rng = np.random.default_rng(2)
    bar = sketch(rng, 8)
    tracks = []
    for _ in range(30):
        loop = np.concatenate([bar] * 16)
        loop["time"] = np.repeat(80 * np.arange(16), 8) + loop["time"] % 80
        tracks.append(np.concatenate((loop, sketch(rng, 150))))
    assert near_duplicates(in_chunks(tracks)).size == 0


def test_tracks_without_landmarks() -> None:
    none = np.empty(0, dtype=LANDMARK)
    assert near_duplicates(in_chunks([])).shape == (0, 2)
    assert near_duplicates(in_chunks([none, none])).shape == (0, 2)
    same = sketch(np.random.default_rng(3))
    assert near_duplicates(in_chunks([none, same, none, same])).tolist() == [[1, 3]]
