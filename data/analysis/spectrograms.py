"""Tensors for convolutional networks: log-mel spectrograms, and images of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from data.analysis.colour_maps import colour_table
from data.analysis.parameters import Melspec, Parameters, Picture, Windows
from data.analysis.stft import TOP_DB, Spectrum, mel_bank


def tensors_of(spectrum: Spectrum, parameters: Parameters) -> dict[str, np.ndarray]:
    """Compute the tensors of a segment that the parameters request, by kind.

    Parameters
    ----------
    spectrum : Spectrum
        The transform of the segment.
    parameters : Parameters
        Parameters of the tensors; a kind whose parameters are None is not computed.

    Returns
    -------
    dict of str to ndarray
        ``melspec`` and ``image``, each of shape (n_windows, ...); see the two functions.
    """
    tensors = {}
    if parameters.melspec is not None:
        tensors["melspec"] = melspec(spectrum, parameters.melspec)
    if parameters.image is not None:
        tensors["image"] = image(spectrum, parameters.image)
    return tensors


def melspec(spectrum: Spectrum, parameters: Melspec) -> np.ndarray:
    """Log-mel spectrograms of a segment.

    Returns
    -------
    ndarray of float16, shape (n_windows, n_mels, n_frames)
        Levels in dB, as in ``librosa.power_to_db``, at most 80 dB below the maximum of the window.
    """
    return np.stack([window.T for window in _windows(spectrum, parameters)]).astype(np.float16)


def image(spectrum: Spectrum, parameters: Picture) -> np.ndarray:
    """Images of the log-mel spectrograms of a segment.

    Returns
    -------
    ndarray of uint8, shape (n_windows, size, size, 3)
        RGB; time to the right, frequency upwards; the maximum of a window is at the end of the colour map.
    """
    colours = colour_table(parameters.colormap)
    pictures = []
    for window in _windows(spectrum, parameters):
        grey = 255 * (window.T[::-1] - window.max() + TOP_DB) / TOP_DB
        # Grey values are resized, then coloured: thirty times faster than plotting with matplotlib.
        resized = Image.fromarray(grey.astype(np.float32)).resize(
            (parameters.size, parameters.size), Image.Resampling.BILINEAR
        )
        pictures.append(colours[np.clip(np.rint(np.asarray(resized)), 0, 255).astype(np.uint8)])
    return np.stack(pictures)


def window_frames(seconds: float, *, sr: int, hop_length: int) -> int:
    """Return the number of whole frames in a window of this length."""
    return int(seconds * sr) // hop_length


def window_starts(n_frames: int, window: int, overlap: float) -> np.ndarray:
    """First frames of the windows of a segment, evenly spread from its beginning to its end.

    Parameters
    ----------
    n_frames : int
        Frames of the segment.
    window : int
        Frames of a window.
    overlap : float
        Requested overlap as a fraction of a window; the actual one may differ slightly, so that the last
        window ends with the segment.

    Returns
    -------
    ndarray of int64, shape (n_windows,)
        At least one, at 0, even if the segment is shorter than a window.
    """
    spare = max(0, n_frames - window)
    count = 1 + round(spare / (window * (1 - overlap)))
    return np.round(np.linspace(0, spare if count > 1 else 0, count)).astype(np.int64)


def _windows(spectrum: Spectrum, parameters: Windows) -> list[np.ndarray]:
    """Levels in dB of each window, float32, shape (n_frames, n_mels); silence pads a short segment."""
    sr, n_fft = spectrum.sr, spectrum.n_fft
    bank = mel_bank(sr, n_fft, parameters.n_mels, parameters.fmin, parameters.fmax or sr / 2)
    level = 10 * np.log10(np.maximum(spectrum.power @ bank, 1e-10))
    size = window_frames(parameters.seconds, sr=sr, hop_length=spectrum.hop_length)
    if len(level) < size:
        level = np.pad(level, ((0, size - len(level)), (0, 0)), constant_values=-100)
    windows = (level[first : first + size] for first in window_starts(len(level), size, parameters.overlap))
    return [np.maximum(window, window.max() - TOP_DB) for window in windows]
