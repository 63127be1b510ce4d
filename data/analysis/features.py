"""Compute the 57 published features of a segment from one Fourier transform.

They equal those of librosa's functions with ``pad_mode="reflect"``, which produced the published table; a
test compares each feature with librosa and with the table.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data.analysis.chroma import chroma
from data.analysis.feature_names import FEATURES
from data.analysis.hpss import harmonic_percussive
from data.analysis.stft import Spectrum, framed
from data.analysis.tempo import tempo

_N_MFCC = 20
_ROLLOFF = 0.85
_ZERO = 1e-10
"""Absolute samples up to this value count as zero in the zero crossings, as in librosa."""


def extract(
    y: np.ndarray,
    *,
    sr: int = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    spectrum: Spectrum | None = None,
) -> np.ndarray:
    """Features of a signal.

    Parameters
    ----------
    y : ndarray of float32, shape (n,)
        Mono samples, more than n_fft // 2 of them.
    sr : int
        Sample rate in Hz.
    n_fft, hop_length : int
        Frame length and step in samples; the step divides the length.
    spectrum : Spectrum, optional
        The transform of `y`, if it is already computed.

    Returns
    -------
    ndarray of float64, shape (57,)
        Mean and variance over frames of each descriptor, and the tempo, in the order of
        `FEATURES`: frequencies in Hz, rates and levels as fractions of full scale, mfcc in dB.
    """
    S = spectrum or Spectrum.of(y, sr=sr, n_fft=n_fft, hop_length=hop_length)
    centroid, bandwidth = _centroid_bandwidth(S)
    harmonic, percussive = harmonic_percussive(y, S)
    series_by_name = {
        "chroma_stft": chroma(S),
        "rms": _rms(y, n_fft, hop_length),
        "spectral_centroid": centroid,
        "spectral_bandwidth": bandwidth,
        "rolloff": _rolloff(S),
        "zero_crossing_rate": _zero_crossing_rate(y, n_fft, hop_length),
        "harmony": harmonic,
        "perceptr": percussive,
    }
    mfcc = _mfcc(S)
    series_by_name |= {f"mfcc{number + 1}": mfcc[:, number] for number in range(_N_MFCC)}
    values = {"tempo": tempo(S)}
    for name, series in series_by_name.items():
        values[f"{name}_mean"] = float(np.mean(series))
        values[f"{name}_var"] = float(np.var(series))
    return np.array([values[name] for name in FEATURES])


def _centroid_bandwidth(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Mean frequency of each frame weighted by magnitude, and the standard deviation around it, in Hz."""
    frequencies = spectrum.frequencies
    weights = spectrum.magnitude.astype(np.float64)
    moments = weights @ np.column_stack((np.ones_like(frequencies), frequencies, frequencies**2))
    audible = moments[:, 0] > np.finfo(np.float32).tiny
    total = np.where(audible, moments[:, 0], 1)
    centroid = moments[:, 1] / total
    bandwidth = np.sqrt(np.maximum(moments[:, 2] / total - centroid**2, 0))
    return centroid, bandwidth


def _rolloff(spectrum: Spectrum) -> np.ndarray:
    """Frequency in Hz below which 85 % of a frame's magnitude lies."""
    # One addition per bin for all frames: equal to np.cumsum, which adds one value after the other.
    cumulative = spectrum.magnitude_by_bin.copy()
    for previous, row in pairwise(cumulative):
        row += previous
    lower = cumulative < _ROLLOFF * cumulative[-1]
    return spectrum.frequencies[lower.view(np.uint8).sum(axis=0, dtype=np.int32)]


def _rms(y: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """Root mean square of each frame."""
    frames = framed(np.pad(y, n_fft // 2, mode="reflect"), n_fft, hop_length)
    return np.sqrt(np.einsum("ij,ij->i", frames, frames) / n_fft)


def _zero_crossing_rate(y: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """Fraction of a frame's samples at which the sign changes; zero counts as positive."""
    negative = np.pad(y, n_fft // 2, mode="edge") < -_ZERO
    crossings = np.concatenate(([0], np.cumsum(negative[1:] != negative[:-1])))
    starts = np.arange(0, len(negative) - n_fft + 1, hop_length)
    return (crossings[starts + n_fft - 1] - crossings[starts]) / n_fft


def _mfcc(spectrum: Spectrum) -> np.ndarray:
    """First 20 mel-frequency cepstral coefficients, shape (n_frames, 20)."""
    from scipy import fft

    return np.asarray(fft.dct(spectrum.log_mel, axis=1, norm="ortho")[:, :_N_MFCC])
