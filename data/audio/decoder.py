"""The interface of audio decoders, which `data.audio.pcm` and `data.audio.ffmpeg` implement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

ACCEPTED_GAP_S = 0.05
"""Seconds that may be missing from a file: about two MP3 frames at 44.1 kHz."""


class Decoder(Protocol):
    """An open audio file.

    Attributes
    ----------
    codec : str
        Codec of the file.
    sample_rate : int
        Sample rate of the file in Hz.
    channels : int
        Number of channels.
    """

    @property
    def codec(self) -> str: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def channels(self) -> int: ...  # noqa: D102

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode the file: float32 arrays of shape (n, channels), full scale 1."""

    def missing_s(self, n_samples: int) -> float:
        """Seconds that are missing from a file that is cut short, after `n_samples` were decoded.

        Raises
        ------
        UnusableError
            If the end of the audio is missing and its length is unknown.
        """
