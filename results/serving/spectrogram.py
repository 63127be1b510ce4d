"""A small picture of a song's spectrogram for the page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from data.analysis.colour_maps import colour_table
from data.analysis.stft import TOP_DB, Spectrum
from data.audio.decode import load

_COLUMNS = 800
"""Maximum width in pixels."""
_HOP_LENGTH = 512
"""Smallest step between frames in samples; a longer song gets a longer one, so memory stays bounded."""
_COLORMAP = "magma"


def spectrogram_png(path: str | Path) -> bytes:
    """Draw the mel spectrogram of an audio file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bytes
        A PNG image, 128 mel bands high (low frequencies at the bottom) and at most 801 pixels wide; it covers
        the whole file.

    Raises
    ------
    AudioError
        If the file cannot be used.
    """
    from PIL import Image

    audio = load(path)
    hop_length = max(_HOP_LENGTH, -(-len(audio.y) // _COLUMNS))
    level = Spectrum.of(audio.y, sr=audio.sr, hop_length=hop_length).log_mel
    grey = 255 * (level.T[::-1] - level.max() + TOP_DB) / TOP_DB
    pixels = colour_table(_COLORMAP)[np.clip(np.rint(grey), 0, 255).astype(np.uint8)]
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    return png.getvalue()
