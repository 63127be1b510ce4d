"""Tuning and pitch classes of a segment."""

from __future__ import annotations

import numpy as np

from data.analysis.stft import Spectrum

_PITCH_RANGE = (150.0, 4000.0)
_PEAK_THRESHOLD = 0.1
_N_CHROMA = 12
_TINY = np.finfo(np.float32).tiny
_A440_OCTAVE_ZERO = 440.0 / 16


def chroma(spectrum: Spectrum) -> np.ndarray:
    """Strength of the twelve pitch classes in each frame, as ``librosa.feature.chroma_stft``.

    Returns
    -------
    ndarray of float32, shape (n_frames, 12)
        The maximum of each frame is 1; a silent frame is 0.
    """
    raw = spectrum.power @ chroma_bank(spectrum.sr, spectrum.n_fft, tuning(spectrum)).T
    largest = raw.max(axis=1, keepdims=True)
    return np.divide(raw, largest, out=raw, where=largest >= _TINY)


def tuning(spectrum: Spectrum) -> float:
    """Deviation from A = 440 Hz in semitones, -0.5 to 0.5, as ``librosa.estimate_tuning`` of the power.

    Only bins from 150 to 4,000 Hz are searched for peaks, because librosa ignores the others.
    """
    frequencies = spectrum.frequencies
    inside = np.flatnonzero((frequencies >= _PITCH_RANGE[0]) & (frequencies < _PITCH_RANGE[1]))
    first, last = max(1, int(inside[0])), min(int(inside[-1]), len(frequencies) - 2)
    S = spectrum.power[:, first - 1 : last + 2]
    loud = S * (spectrum.power.max(axis=1, keepdims=True) * np.float32(_PEAK_THRESHOLD) < S)
    frame, column = np.nonzero((loud[:, 1:-1] > loud[:, :-2]) & (loud[:, 1:-1] >= loud[:, 2:]))
    left, centre, right = (S[frame, column + offset] for offset in range(3))
    curvature = right + left - 2 * centre
    slope = (right - left) / 2
    shift = np.zeros_like(centre)
    np.divide(-slope, curvature, out=shift, where=np.abs(slope) < np.abs(curvature))
    pitch = ((column + first + shift) * spectrum.sr / spectrum.n_fft).astype(np.float32)
    height = centre + np.float32(0.5) * slope * shift
    if not len(pitch):
        return 0.0
    strong = pitch[height >= np.median(height)]
    residual = np.mod(_N_CHROMA * np.log2(strong / _A440_OCTAVE_ZERO), 1.0)
    residual[residual >= 0.5] -= 1
    counts, edges = np.histogram(residual, np.linspace(-0.5, 0.5, 101))
    return float(edges[np.argmax(counts)])


def chroma_bank(sr: int, n_fft: int, tuning: float) -> np.ndarray:
    """Weights of the bins in the pitch classes, float32, shape (12, 1 + n_fft // 2).

    Equal to ``librosa.filters.chroma`` (Ellis, "Chroma feature analysis and synthesis", 2007). It is not
    called, because numba would first compile its functions for ten seconds.
    """
    octave = np.log2(np.arange(1, n_fft) * (sr / n_fft) / (_A440_OCTAVE_ZERO * 2 ** (tuning / _N_CHROMA)))
    position = _N_CHROMA * octave
    # As in librosa, the bin at 0 Hz is placed one and a half octaves below the first one.
    position = np.concatenate(([position[0] - 1.5 * _N_CHROMA], position))
    width = np.concatenate((np.maximum(np.diff(position), 1.0), [1.0]))
    position, width = position[: 1 + n_fft // 2], width[: 1 + n_fft // 2]
    half = _N_CHROMA // 2
    distance = np.remainder(position - np.arange(_N_CHROMA)[:, None] + half, _N_CHROMA) - half
    bank = np.exp(-0.5 * (2 * distance / width) ** 2)
    bank /= np.linalg.norm(bank, axis=0)
    bank *= np.exp(-0.5 * ((position / _N_CHROMA - 5.0) / 2.0) ** 2)
    return np.roll(bank, -3, axis=0).astype(np.float32)
