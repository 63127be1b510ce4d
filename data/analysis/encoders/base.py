"""The interface of encoders: a sample rate, a dimension, and vectors for the patches of a signal."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Encoder(ABC):
    """A pretrained network from mono audio to vectors.

    Attributes
    ----------
    sample_rate : int
        Rate in Hz of its input audio.
    dimension : int
        Length of the vector of one patch.
    """

    sample_rate: int
    dimension: int

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """Encode a signal.

        Parameters
        ----------
        y : ndarray of float32, shape (n_samples,)
            Mono samples at `sample_rate`, at least one; full scale is 1.

        Returns
        -------
        ndarray of float32, shape (n_patches, dimension)
            One vector per patch, at least one patch. A signal shorter than a patch is padded with silence.

        Raises
        ------
        EncoderError
            If the encoder fails on the signal, or its output has another shape or is not finite.
        """
