"""Harmonic and percussive parts of a signal, by median filtering of its spectrum (Fitzgerald, DAFx 2010)."""

from __future__ import annotations

import numpy as np

from data.spectrum import Spectrum, inverse

_KERNEL = 31


def harmonic_percussive(y: np.ndarray, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Split a signal in its harmonic and its percussive part.

    Equal, but for rounding, to ``librosa.decompose.hpss`` on the transform and ``istft`` of both parts. The
    two masks add up to one, so that one inverse transform is enough.

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
    S = spectrum.magnitude
    harmonic = median_along_rows(S.T).T
    percussive = median_along_rows(S)
    mask = np.square(harmonic)
    total = np.square(percussive)
    total += mask
    audible = total > np.finfo(np.float32).tiny
    np.divide(mask, total, out=mask, where=audible)
    mask[~audible] = 0.5
    y_harmonic = inverse(
        spectrum.D * mask, n_fft=spectrum.n_fft, hop_length=spectrum.hop_length, length=len(y)
    )
    y_percussive = y - y_harmonic
    whole = len(y) - len(y) % spectrum.hop_length
    y_percussive[whole:] = 0
    return y_harmonic, y_percussive


def median_along_rows(S: np.ndarray, size: int = _KERNEL) -> np.ndarray:
    """Take the running median along each row, the ends mirrored.

    Equal to the bit to ``scipy.ndimage.median_filter(S, size=(1, size), mode="reflect")``, and ten times as
    fast: scipy filters one dimension in linear time, so the mirrored rows are laid end to end.

    Parameters
    ----------
    S : ndarray of float32, shape (n_rows, n_columns)
        Values.
    size : int
        Length of the window, odd.
    """
    from scipy.ndimage import median_filter

    half = size // 2
    padded = np.pad(S, ((0, 0), (half, half)), mode="symmetric")
    filtered = median_filter(np.ascontiguousarray(padded).ravel(), size=size)
    return np.asarray(filtered.reshape(padded.shape)[:, half:-half])
