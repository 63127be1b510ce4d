"""Tempo of a segment."""

from __future__ import annotations

import numpy as np

from data.analysis.stft import Spectrum, framed, hann_window

_WINDOW_SECONDS = 8.0
_START_BPM = 120.0
_MAX_BPM = 320.0


def tempo(spectrum: Spectrum) -> float:
    """Tempo in beats per minute, as returned by ``librosa.beat.beat_track``; 0 in silence.

    No beats are tracked. The tempo maximises the local autocorrelation of the onsets, averaged over time and
    weighted by a log-normal prior around 120.
    """
    from scipy import fft

    onsets = onset_strength(spectrum)
    if not onsets.any():
        return 0.0
    n_lags = int(_WINDOW_SECONDS * spectrum.sr / spectrum.hop_length)
    padded = np.pad(onsets, n_lags // 2, mode="linear_ramp", end_values=0)
    frames = framed(padded, n_lags, 1)[: len(onsets)] * hann_window(n_lags)
    n_fft = fft.next_fast_len(2 * n_lags - 1, real=True)
    transform = fft.rfft(frames, n=n_fft, axis=1)
    power = np.square(transform.real) + np.square(transform.imag)
    # librosa transforms each frame back and divides it by its maximum, which an autocorrelation has at lag 0.
    # The inverse transform is linear, so one of the mean is enough.
    largest = np.einsum("ij,ij->i", frames, frames)
    scale = np.divide(1.0, largest, out=np.ones_like(largest), where=largest >= np.finfo(largest.dtype).tiny)
    mean = fft.irfft(scale @ power / len(power), n=n_fft)[:n_lags]

    bpm = np.empty(n_lags)
    bpm[0] = np.inf
    bpm[1:] = 60 * spectrum.sr / (spectrum.hop_length * np.arange(1, n_lags))
    with np.errstate(divide="ignore"):
        prior = -0.5 * (np.log2(bpm) - np.log2(_START_BPM)) ** 2
    prior[bpm >= _MAX_BPM] = -np.inf
    return float(bpm[np.argmax(np.log1p(1e6 * mean) + prior)])


def onset_strength(spectrum: Spectrum) -> np.ndarray:
    """Median over mel bands of the rise in level, float32, shape (n_frames,).

    Equal to ``librosa.onset.onset_strength(aggregate=np.median)``.
    """
    rise = np.maximum(0, np.diff(spectrum.log_mel, axis=0))
    delay = 1 + spectrum.n_fft // (2 * spectrum.hop_length)
    return np.pad(np.median(rise, axis=1), (delay, 0))[: len(spectrum.log_mel)]
