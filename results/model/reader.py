"""Read the inputs of a model from a file, in this process or another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.analysis.kinds import Kind
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file
from data.audio.decode import LONGEST_SECONDS


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of one model for one file.

    Attributes
    ----------
    X : ndarray, shape (n, ...)
        One row per segment, as a cache holds them.
    start_s : ndarray of float64, shape (n,)
        Start of each segment in seconds.
    """

    X: np.ndarray
    start_s: np.ndarray


@dataclass(frozen=True)
class Reader:
    """How a model reads a file. It holds no network, so it can be sent to another process.

    Attributes
    ----------
    parameters : Parameters
        Parameters of the analysis.
    reads : str
        Kind of input.
    encoders : str
        Folder of the encoders' files.
    """

    parameters: Parameters
    reads: Kind
    encoders: str = ""

    def read(self, path: str | Path, *, longest_s: float = LONGEST_SECONDS) -> ModelInputs:
        """Analyse a file.

        Parameters
        ----------
        path : str or Path
            The file.
        longest_s : float
            Longest song in seconds.

        Raises
        ------
        AudioError
            If the file cannot be used.
        """
        return ModelInputs(
            *of_file(path, self.parameters, self.reads, encoders=self.encoders, longest_s=longest_s)
        )
