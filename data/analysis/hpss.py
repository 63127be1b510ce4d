"""Harmonic and percussive parts of a signal, by median filtering of its spectrum (Fitzgerald, DAFx 2010)."""

from __future__ import annotations

import numpy as np

from data.analysis.median_filter import median_down_columns
from data.analysis.stft import Spectrum, inverse

_ROWS = 32
"""Frames whose mask is computed at once."""


def harmonic_percussive(y: np.ndarray, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Split a signal into its harmonic and percussive parts.

    Equal, except for rounding, to ``librosa.decompose.hpss`` of the transform and ``istft`` of both parts.
    The two masks add up to one, so one inverse transform is enough.

    Parameters
    ----------
    y : ndarray of float32, shape (n,)
        The signal.
    spectrum : Spectrum
        Its transform.

    Returns
    -------
    harmonic, percussive : ndarray of float32, shape (n,)
        The parts; both are zero after the last whole hop.
    """
    harmonic = median_down_columns(spectrum.magnitude)
    percussive = median_down_columns(spectrum.magnitude_by_bin).T
    masked = np.empty_like(spectrum.D)
    # In pieces that fit in the cache of a core.
    for start in range(0, len(masked), _ROWS):
        rows = slice(start, start + _ROWS)
        mask = np.square(harmonic[rows])
        total = np.square(percussive[rows])
        total += mask
        audible = total > np.finfo(np.float32).tiny
        np.divide(mask, total, out=mask, where=audible)
        mask[~audible] = 0.5
        np.multiply(spectrum.D[rows], mask, out=masked[rows])
    y_harmonic = inverse(masked, n_fft=spectrum.n_fft, hop_length=spectrum.hop_length, length=len(y))
    y_percussive = y - y_harmonic
    whole = len(y) - len(y) % spectrum.hop_length
    y_percussive[whole:] = 0
    return y_harmonic, y_percussive
