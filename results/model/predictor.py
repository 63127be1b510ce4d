"""What a single model and an ensemble have in common: they read a song and predict its genre."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, TypeGuard, overload

from data.errors import HarnessError, SettingsError
from results.model.prediction import Prediction
from results.model.reader import ModelInputs, Reader
from results.model.song_source import Song, as_file

Paths: TypeAlias = list[str] | list[Path] | list[str | Path] | tuple[str | Path, ...]
"""Paths of several songs."""

MIN_HOP, MAX_HOP = 0.1, 3600.0
"""Bounds in seconds of the hop of a moving window."""


class Predictor(ABC):
    """An exported model or ensemble."""

    @property
    @abstractmethod
    def readers(self) -> tuple[Reader, ...]:
        """How a song is read."""

    @property
    @abstractmethod
    def reads_images(self) -> bool:
        """Whether spectrogram images are read instead of audio."""

    @abstractmethod
    def predict_inputs(self, inputs: Sequence[ModelInputs], path: str) -> Prediction:
        """Predict the genre of a song whose inputs were read.

        Parameters
        ----------
        inputs : sequence of ModelInputs
            What each of `readers` read.
        path : str
            Name of the song.

        Raises
        ------
        HarnessError
            If the output of a network is not finite.
        """

    @overload
    def predict(self, song: Song, rate: int | None = None, *, hop: float | None = None) -> Prediction: ...
    @overload
    def predict(self, song: Paths, rate: None = None, *, hop: float | None = None) -> list[Prediction]: ...
    def predict(
        self, song: Song | Paths, rate: int | None = None, *, hop: float | None = None
    ) -> Prediction | list[Prediction]:
        """Predict the genre of one song or of several.

        Parameters
        ----------
        song : str, Path, ndarray, binary file, or sequence of str or Path
            Path of an audio file in any format that libsndfile or FFmpeg decodes (or of an image, see
            `reads_images`); such a file, opened in binary mode; or samples of shape (n,) or (n, channels). A
            sequence of paths gives a list of predictions.
        rate : int, optional
            Sample rate in Hz of samples.
        hop : float, optional
            Move a window of the length that the model was trained on over the song, by so many seconds at a
            time: less than its length for a fine timeline, more to sample a long recording. The answer is the
            mean over all positions. By default, the song is cut into equal segments of that length.

        Raises
        ------
        AudioError
            If a song cannot be used, or `hop` gives too many windows for its length.
        SettingsError
            If `hop` is not from 0.1 to 3600, or the model reads images.
        TypeError
            If `song` is something else, or `rate` is missing or superfluous.
        """
        self.check_hop(hop)
        if _is_paths(song):
            return [self._predict_one(path, rate, hop) for path in song]
        return self._predict_one(song, rate, hop)  # type: ignore[arg-type]

    def check_hop(self, hop: float | None) -> None:
        """Check the distance between the positions of a moving window.

        Raises
        ------
        SettingsError
            If `hop` is out of bounds, or the model reads images.
        """
        if hop is None:
            return
        if not MIN_HOP <= hop <= MAX_HOP:
            raise SettingsError(f"--hop {hop:g}: give seconds from {MIN_HOP:g} to {MAX_HOP:g}")
        if self.reads_images:
            raise SettingsError(f"--hop {hop:g}: this model reads images, which have no time")

    def _predict_one(self, song: Song, rate: int | None, hop: float | None) -> Prediction:
        with as_file(song, rate) as (path, name):
            try:
                return self.predict_inputs([reader.read(path, hop_s=hop) for reader in self.readers], name)
            except HarnessError as error:
                raise type(error)(str(error).replace(str(path), name)) from error


def _is_paths(song: object) -> TypeGuard[Paths]:
    return isinstance(song, list | tuple) and all(isinstance(path, str | Path) for path in song)
