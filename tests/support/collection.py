"""Small collections of real files for the tests of preparation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

SR = 22050


def clip(seed: int, seconds: float = 1.5) -> np.ndarray:
    """A clip with a random melody and noise, int16."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SR)) / SR
    notes = rng.uniform(150, 3000, size=(int(seconds * 8) + 1, 2))
    played = notes[(time * 8).astype(int)]
    y = np.sin(2 * np.pi * played[:, 0] * time) + 0.6 * np.sin(2 * np.pi * played[:, 1] * time)
    y = 0.3 * y * np.exp(-3 * (time % 0.125)) + 0.003 * rng.normal(size=len(time))
    return (y * 2**15 * 0.9).astype(np.int16)


def make_collection(root: Path, *, genres: int = 2, tracks: int = 3, seconds: float = 1.5) -> Path:
    """Write `tracks` clips of each genre, with file names like those of GTZAN."""
    for genre in range(genres):
        folder = root / f"genre{genre}"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(tracks):
            path = folder / f"genre{genre}.{number:05d}.wav"
            soundfile.write(path, clip(1000 * genre + number, seconds), SR)
    return root
