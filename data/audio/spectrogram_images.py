"""Read spectrogram images, such as ``images_original`` of the public GTZAN copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from data.errors import AudioError
from data.io.folder import require_regular

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
"""Suffixes, in lower case, of the files that are read as images."""

_WHITE = 250
"""Minimum value of all three channels of a pixel that counts as white."""


def load_picture(path: str | Path, *, size: int) -> np.ndarray:
    """Read an image, crop its white margins and resize it.

    Parameters
    ----------
    path : str or Path
        The file.
    size : int
        Height and width of the result in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        RGB.

    Raises
    ------
    AudioError
        If the file cannot be read, is not an image, or is entirely white.
    """
    try:
        require_regular(path)
        with Image.open(path) as file:
            rgba = file.convert("RGBA")
    except Image.DecompressionBombError as error:
        raise AudioError(f"{path}: too many pixels for a spectrogram") from error
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise AudioError(f"{path}: not readable as an image") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error})") from error
    background = Image.new("RGBA", rgba.size, "white")
    picture = np.asarray(Image.alpha_composite(background, rgba).convert("RGB"))
    drawn = picture.min(axis=2) < _WHITE
    if not drawn.any():
        raise AudioError(f"{path}: entirely white")
    rows, columns = np.flatnonzero(drawn.max(axis=1)), np.flatnonzero(drawn.max(axis=0))
    inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(Image.fromarray(inside).resize((size, size), Image.Resampling.BILINEAR))
