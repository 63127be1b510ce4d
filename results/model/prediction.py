"""The prediction of a model for one song."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for one song.

    Attributes
    ----------
    path : str
        Path or name of the song.
    probabilities : dict of str to float
        Probability of each genre, most likely first: the calibrated mean over the segments.
    start_s : list of float
        Start of each segment in seconds.
    segments : list of dict
        Probability of each genre per segment, in the order of the labels.
    """

    path: str
    probabilities: dict[str, float]
    start_s: list[float]
    segments: list[dict[str, float]]

    @property
    def genre(self) -> str:
        """The most likely genre."""
        return next(iter(self.probabilities))
