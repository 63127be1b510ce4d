"""The mel filter bank of librosa, from librosa where it is installed.

Its import takes more than a second and brings numba. An installation that only predicts has no librosa and
computes the same filters here.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

_HZ_PER_MEL = 200.0 / 3
"""Width of a mel below `_LOG_HZ` in Slaney's scale (Auditory Toolbox, 1998)."""
_LOG_HZ = 1000.0
"""Frequency above which the scale is logarithmic."""
_LOG_STEP = np.log(6.4) / 27.0
"""Natural logarithm of the ratio of two frequencies above `_LOG_HZ` that are one mel apart."""


def mel_filters(*, sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Weights of the bins of a Fourier transform for each mel band: ``librosa.filters.mel``.

    Parameters
    ----------
    sr : int
        Sample rate in Hz.
    n_fft : int
        Frame length in samples.
    n_mels : int
        Number of bands.
    fmin, fmax : float
        Lowest and highest frequency in Hz.

    Returns
    -------
    ndarray of float32, shape (n_mels, 1 + n_fft // 2)
        Triangles of equal area, on Slaney's mel scale.
    """
    if find_spec("librosa") is None:
        return slaney_filters(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    from librosa.filters import mel

    return np.asarray(mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax))


def slaney_filters(*, sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Compute the filters of `mel_filters` without librosa, bit by bit the same."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax), n_mels + 2))
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n_fft, 1.0 / sr))
    width = np.diff(edges)[:, np.newaxis]
    rising, falling = -ramps[:-2] / width[:-1], ramps[2:] / width[1:]
    # librosa stores the triangles in single precision before it scales them.
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    return weights


def _hz_to_mel(frequency: float) -> float:
    if frequency < _LOG_HZ:
        return frequency / _HZ_PER_MEL
    return float(_LOG_HZ / _HZ_PER_MEL + np.log(frequency / _LOG_HZ) / _LOG_STEP)


def _mel_to_hz(mels: np.ndarray) -> np.ndarray:
    linear = _HZ_PER_MEL * mels
    logarithmic = mels >= _LOG_HZ / _HZ_PER_MEL
    linear[logarithmic] = _LOG_HZ * np.exp(_LOG_STEP * (mels[logarithmic] - _LOG_HZ / _HZ_PER_MEL))
    return linear
