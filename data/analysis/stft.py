"""Compute one short-time Fourier transform per segment, and values derived from it.

Frames are rows, ``(n_frames, 1 + n_fft // 2)``. librosa uses the transposed layout; with this one, the
transform of a frame and filters over its bins access contiguous memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np

from data.analysis.mel_filters import mel_filters

TOP_DB = 80.0
"""Levels are at most this many dB below the maximum, as in librosa."""
_POWER_FLOOR = 1e-10


@dataclass(frozen=True)
class Spectrum:
    """Short-time spectrum of a signal, with everything derived from it computed once.

    Attributes
    ----------
    D : ndarray of complex64, shape (n_frames, 1 + n_fft // 2)
        The transform: periodic Hann window, centred frames, signal mirrored at its ends.
    sr : int
        Sample rate in Hz.
    n_fft, hop_length : int
        Frame length and step in samples.
    """

    D: np.ndarray
    sr: int
    n_fft: int
    hop_length: int

    @classmethod
    def of(cls, y: np.ndarray, *, sr: int = 22050, n_fft: int = 2048, hop_length: int = 512) -> Spectrum:
        """Transform float32 samples of shape (n,), where n > n_fft // 2.

        Equal to ``librosa.stft(y, pad_mode="reflect").T`` except for rounding, because all computations are
        in single precision.
        """
        from scipy import fft

        frames = framed(np.pad(y, n_fft // 2, mode="reflect"), n_fft, hop_length)
        return cls(fft.rfft(frames * hann(n_fft), axis=1), sr, n_fft, hop_length)

    @cached_property
    def power(self) -> np.ndarray:
        """Power, float32, shape (n_frames, 1 + n_fft // 2)."""
        return np.asarray(np.square(self.D.real) + np.square(self.D.imag))

    @cached_property
    def magnitude(self) -> np.ndarray:
        """Magnitude, float32, shape (n_frames, 1 + n_fft // 2)."""
        return np.sqrt(self.power)

    @cached_property
    def magnitude_by_bin(self) -> np.ndarray:
        """Magnitude with one row per bin, float32, shape (1 + n_fft // 2, n_frames), in its own memory."""
        return np.ascontiguousarray(self.magnitude.T)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Centre frequencies of the bins in Hz, float64, shape (1 + n_fft // 2,)."""
        return np.fft.rfftfreq(self.n_fft, 1 / self.sr)

    @cached_property
    def log_mel(self) -> np.ndarray:
        """Level in dB of 128 mel bands, float32, shape (n_frames, 128), over a range of `TOP_DB`."""
        return self.level(mel_bank(self.sr, self.n_fft, 128, 0.0, self.sr / 2))

    def level(self, bank: np.ndarray) -> np.ndarray:
        """Level in dB of the bands of a filter bank.

        Parameters
        ----------
        bank : ndarray of float32, shape (1 + n_fft // 2, n_bands)
            Weights of the bins.

        Returns
        -------
        ndarray of float32, shape (n_frames, n_bands)
            10 log10 of the power, at least 1e-10, over a range of `TOP_DB`: ``librosa.power_to_db``.
        """
        db = 10 * np.log10(np.maximum(self.power @ bank, _POWER_FLOOR))
        return np.maximum(db, db.max() - TOP_DB).astype(np.float32, copy=False)


def framed(y: np.ndarray, frame_length: int, hop_length: int) -> np.ndarray:
    """Frames of a signal as a view, shape (n_frames, frame_length)."""
    return np.lib.stride_tricks.sliding_window_view(y, frame_length)[::hop_length]


def inverse(D: np.ndarray, *, n_fft: int, hop_length: int, length: int) -> np.ndarray:
    """Transform a short-time spectrum back to a signal.

    Equal to ``librosa.util.fix_length(librosa.istft(D.T), size=length)``: samples after the last whole hop
    are zero.

    Parameters
    ----------
    D : ndarray of complex64, shape (n_frames, 1 + n_fft // 2)
        The spectrum; `hop_length` divides `n_fft`.
    length : int
        Number of samples.

    Returns
    -------
    ndarray of float32, shape (length,)
        The signal.
    """
    from scipy import fft

    window = hann(n_fft)
    frames = fft.irfft(D, n=n_fft, axis=1)
    frames *= window
    y = _overlap_add(frames, hop_length)
    weight = _weight(n_fft, hop_length, len(frames))
    np.divide(y, weight, out=y, where=weight > np.finfo(np.float32).tiny)
    y = y[n_fft // 2 : len(y) - n_fft // 2][:length]
    return np.pad(y, (0, length - len(y)))


@lru_cache(maxsize=4)
def _weight(n_fft: int, hop_length: int, n_frames: int) -> np.ndarray:
    """Sum of the squared windows at each sample; kept, because most segments have the same length."""
    window = hann(n_fft)
    return _frozen(_overlap_add(np.broadcast_to(window * window, (n_frames, n_fft)), hop_length))


def _overlap_add(frames: np.ndarray, hop_length: int) -> np.ndarray:
    n_frames, n_fft = frames.shape
    overlap = n_fft // hop_length
    blocks = frames.reshape(n_frames, overlap, hop_length)
    out = np.zeros((n_frames + overlap - 1, hop_length), dtype=np.float32)
    for number in range(overlap):
        out[number : number + n_frames] += blocks[:, number]
    return out.ravel()


@cache
def hann(n: int) -> np.ndarray:
    """Periodic Hann window, float32, shape (n,)."""
    return _frozen(hann_window(n).astype(np.float32))


def hann_window(n: int) -> np.ndarray:
    """Periodic Hann window, float64, shape (n,): that of ``scipy.signal``, whose import takes long."""
    return np.asarray(0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n + 1)))[:-1]


@cache
def mel_bank(sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Mel filter bank of librosa, transposed: float32, shape (1 + n_fft // 2, n_mels)."""
    bank = mel_filters(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    return _frozen(np.ascontiguousarray(bank.T))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
