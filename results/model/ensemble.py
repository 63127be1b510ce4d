"""Classify audio files with several exported models whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data.dataset.calibration import apply_temperature
from data.errors import ExportError
from data.io.command_names import command_name
from results.model import files
from results.model.classifier import Classifier
from results.model.prediction import Prediction
from results.model.predictor import Predictor
from results.model.reader import ModelInputs, Reader


class EnsembleConfig(BaseModel):
    """Content of an ensemble's ``config.json``.

    Attributes
    ----------
    format : int
        Version of the export format.
    kind : str
        ``ensemble``; distinguishes it from a single model.
    members : list of str
        Names of the subfolders; each holds the files of a single model with its own preprocessing.
    synthetic : bool
        Whether the training data was synthesised.
    cache_fingerprint, split_fingerprint : str
        Fingerprints of data and split, the same for all members.
    created : str
        Time in ISO 8601, UTC.
    weights : list of float
        Weight of each member's probabilities, above 0; equal weights if empty.
    temperature : float
        Temperature that calibrates the averaged probabilities, above 0; 1 changes nothing.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = files.FORMAT
    kind: Literal["ensemble"] = "ensemble"
    members: list[str]
    synthetic: bool
    cache_fingerprint: str
    split_fingerprint: str
    created: str
    weights: list[float] = []
    temperature: float = Field(default=1.0, gt=0)


@dataclass(frozen=True)
class Ensemble(Predictor):
    """An exported ensemble.

    Attributes
    ----------
    config : EnsembleConfig
        The members and their weights.
    labels : list of str
        Genres.
    members : tuple of Classifier
        The models whose probabilities are averaged.
    """

    config: EnsembleConfig
    labels: list[str]
    members: tuple[Classifier, ...]

    @classmethod
    def load(cls, folder: str | Path) -> Ensemble:
        """Load an ensemble and each of its members.

        Raises
        ------
        ExportError
            If a file is missing or invalid, or a member has other genres.
        """
        path = Path(folder)
        config = files.read_config(path, EnsembleConfig)
        labels = files.read_labels(path)
        if not config.members or any(
            Path(name).name != name or name in (".", "..") for name in config.members
        ):
            raise ExportError(
                f"{path / files.CONFIG}: members are not names of subfolders; export the ensemble again"
            )
        wrong_count = len(config.weights) not in (0, len(config.members))
        if wrong_count or any(not 0 < weight < np.inf for weight in config.weights):
            raise ExportError(
                f"{path / files.CONFIG}: weights are not one positive number per member; export the ensemble"
                " again"
            )
        members = tuple(Classifier.load(path / name) for name in config.members)
        for name, member in zip(config.members, members, strict=True):
            if member.labels != labels:
                raise ExportError(
                    f"{path / name / files.LABELS}: other genres than the ensemble's; export the"
                    " ensemble again"
                )
        return cls(config, labels, members)

    @property
    def reads_images(self) -> bool:
        """Whether the members read spectrogram images instead of audio."""
        return self.members[0].reads_images

    @property
    def readers(self) -> tuple[Reader, ...]:
        """How the members read a file: each way once, as members often share their preprocessing."""
        readers: list[Reader] = []
        for member in self.members:
            readers += [reader for reader in member.readers if reader not in readers]
        return tuple(readers)

    def predict_inputs(self, inputs: Sequence[ModelInputs], path: str) -> Prediction:
        """Average the members' probabilities by their weights; see `Predictor.predict_inputs`.

        The timeline uses the segments of the member with the most segments; each other member contributes its
        prediction for the segment that contains the start.
        """
        readers = self.readers
        predictions = [
            member.predict_inputs([inputs[readers.index(reader)] for reader in member.readers], path)
            for member in self.members
        ]
        probabilities = self._vote([prediction.probabilities for prediction in predictions])
        starts = max((prediction.start_s for prediction in predictions), key=len)
        return Prediction(
            path=path,
            probabilities=dict(sorted(probabilities.items(), key=lambda pair: -pair[1])),
            start_s=starts,
            segments=[
                self._vote([_segment_at(start, prediction) for prediction in predictions]) for start in starts
            ],
        )

    def _vote(self, probabilities: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Average the members' probabilities by their weights, and calibrate the mean."""
        stacked = np.array([[member[label] for label in self.labels] for member in probabilities])
        mean = np.average(stacked, axis=0, weights=self.config.weights or None)
        if self.config.temperature != 1:
            mean = apply_temperature(mean, self.config.temperature)
        return dict(zip(self.labels, map(float, mean), strict=True))


def _segment_at(second: float, prediction: Prediction) -> dict[str, float]:
    """Return a member's probabilities for its segment that contains a time in seconds."""
    number = int(np.searchsorted(prediction.start_s, second + 1e-9, side="right")) - 1
    return prediction.segments[max(number, 0)]


def is_ensemble(folder: str | Path) -> bool:
    """Whether a folder holds an exported ensemble.

    Raises
    ------
    ExportError
        If the folder holds no export.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ExportError(
            f"{folder}: no such folder; create an export with '{command_name('results.export')}'"
        )
    content = files.read_json(path, files.CONFIG)
    return isinstance(content, dict) and content.get("kind") == "ensemble"
