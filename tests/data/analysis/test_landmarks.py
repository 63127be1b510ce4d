from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from data.analysis.landmarks import landmarks, united_groups
from data.analysis.stft import Spectrum
from data.audio.decode import load
from data.collection.near_duplicates import near_duplicates

SR = 22050


def sketch(y: NDArray[np.floating]) -> np.ndarray:
    return landmarks(Spectrum.of(y.astype(np.float32)))


def coded(y: np.ndarray, path: Path, **options: object) -> np.ndarray:
    soundfile.write(path, y, SR, **options)
    return load(path).y


ALTERED: dict[str, Callable[[np.ndarray, Path], np.ndarray]] = {
    "level": lambda y, _: 0.05 * y,
    "offset": lambda y, _: y[27_211:],
    "delay": lambda y, _: np.concatenate([np.zeros(12_345, dtype=np.float32), y[:-40_000]]),
    "half": lambda y, _: y[len(y) // 3 : len(y) // 3 + 15 * SR],
    "mp3": lambda y, to: coded(y, to / "a.mp3", compression_level=0.9),
    "ogg": lambda y, to: coded(y, to / "a.ogg", compression_level=1.0),
    "narrow": lambda y, _: soxr.resample(soxr.resample(y, SR, 16_000), 16_000, SR),
    "noise": lambda y, _: y + 0.1 * y.std() * np.random.default_rng(0).normal(size=len(y)),
    "offset_level_mp3": lambda y, to: coded(0.5 * y[33_333:], to / "a.mp3", compression_level=0.9),
}


@pytest.mark.parametrize("alteration", ALTERED)
def test_only_altered_copies_of_the_real_tracks_match(shared: Path, tmp_path: Path, alteration: str) -> None:
    originals = [load(path).y for path in sorted((shared / "gtzan" / "genres_original").glob("*/*.wav"))]
    copies = [ALTERED[alteration](y, tmp_path) for y in originals]
    sketches = [sketch(y) for y in [*originals, *copies]]
    pairs = near_duplicates(lambda: iter([sketches[:7], sketches[7:]]))
    assert pairs.tolist() == [[n, n + len(originals)] for n in range(len(originals))]


def test_silence_and_noise_match_nothing() -> None:
    silence = np.zeros(10 * SR)
    noise = np.random.default_rng(1).normal(size=(2, 10 * SR))
    assert len(sketch(silence)) == 0
    sketches = [sketch(silence), sketch(silence), sketch(noise[0]), sketch(noise[1])]
    assert near_duplicates(lambda: iter([sketches])).size == 0


def test_groups_that_share_a_recording_are_merged() -> None:
    groups = ["b", "a", "c", "b", "d"]
    assert united_groups(groups, []) == groups
    assert united_groups(groups, [(1, 3), (2, 3)]) == ["a", "a", "a", "a", "d"]
    assert united_groups([], []) == []
