"""Read the inputs of a model from a file, in this process or another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.analysis.kinds import Kind
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file, row_seconds
from data.audio.decode import LONGEST_SECONDS


@dataclass(frozen=True)
class Window:
    """A window that moves over a file.

    Attributes
    ----------
    hop_s : float
        Seconds from one position to the next.
    length_s : float
        Length of the window in seconds.
    """

    hop_s: float
    length_s: float

    def over_time(self, rows: np.ndarray, start_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average the predictions of overlapping windows.

        Parameters
        ----------
        rows : ndarray, shape (n, n_classes)
            Probabilities of each window.
        start_s : ndarray, shape (n,)
            Start of each window in seconds, ascending.

        Returns
        -------
        probabilities : ndarray, shape (m, n_classes)
            The mean of the windows that contain the middle of each step of `hop_s`.
        step_s : ndarray, shape (m,)
            Start of each step; as the windows if these do not overlap.
        """
        if self.hop_s >= self.length_s or len(rows) == 1:
            return rows, start_s
        steps = np.arange(start_s[0], start_s[-1] + self.length_s - self.hop_s / 2, self.hop_s)
        middle = steps[:, None] + self.hop_s / 2
        inside = (start_s <= middle) & (middle < start_s + self.length_s)
        return (inside @ rows) / inside.sum(axis=1, keepdims=True), steps


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of one model for one file.

    Attributes
    ----------
    X : ndarray, shape (n, ...)
        One row per segment, as a cache holds them.
    start_s : ndarray of float64, shape (n,)
        Start of each segment in seconds.
    window : Window or None
        How a moving window was cut; None for the segments of a cache.
    """

    X: np.ndarray
    start_s: np.ndarray
    window: Window | None = None


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

    def read(
        self, path: str | Path, *, longest_s: float = LONGEST_SECONDS, hop_s: float | None = None
    ) -> ModelInputs:
        """Analyse a file.

        Parameters
        ----------
        path : str or Path
            The file.
        longest_s : float
            Longest song in seconds.
        hop_s : float, optional
            Seconds from the start of a segment to that of the next; by default, the segments are those of a
            cache.

        Raises
        ------
        AudioError
            If the file cannot be used.
        """
        window = None
        if hop_s is not None:
            window = Window(hop_s, row_seconds(self.parameters, self.reads))
        X, start_s = of_file(
            path, self.parameters, self.reads, encoders=self.encoders, longest_s=longest_s, hop_s=hop_s
        )
        return ModelInputs(X, start_s, window)
