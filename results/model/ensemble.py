"""Several exported models that vote: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data.dataset.calibration import apply_temperature
from data.errors import ExportError
from results.model import files as bundle
from results.model.classifier import Classifier, Prediction


class EnsembleConfig(BaseModel):
    """Content of an ensemble's ``config.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    kind : str
        ``ensemble``, by which it is told from a single model.
    members : list of str
        Subfolders, each with the files of a single model and its own way from audio to inputs.
    synthetic : bool
        Whether the training data was synthesised.
    cache_fingerprint, split_fingerprint : str
        The data, and who saw what of it; the same for all members.
    created : str
        Time in ISO 8601, UTC.
    weights : list of float
        Weight of each member's probabilities, above 0; equal weights if empty.
    temperature : float
        By which the probabilities of the vote are calibrated, above 0; 1 leaves them as they are.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = bundle.FORMAT
    kind: Literal["ensemble"] = "ensemble"
    members: list[str]
    synthetic: bool
    cache_fingerprint: str
    split_fingerprint: str
    created: str
    weights: list[float] = []
    temperature: float = Field(default=1.0, gt=0)


@dataclass(frozen=True)
class Ensemble:
    """An exported ensemble.

    Attributes
    ----------
    config : EnsembleConfig
        Which models it is made of.
    labels : list of str
        Genres.
    members : tuple of Classifier
        The models that vote, with the weights of the configuration.
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
            If a file is missing or is not what it should be, or the members name other genres.
        """
        place = Path(folder)
        config = bundle.read_config(place, EnsembleConfig)
        labels = bundle.read_labels(place)
        if not config.members or any(
            Path(name).name != name or name in (".", "..") for name in config.members
        ):
            raise ExportError(
                f"{place / bundle.CONFIG}: members are not names of subfolders; export it again"
            )
        wrong_number = len(config.weights) not in (0, len(config.members))
        if wrong_number or any(not 0 < weight < np.inf for weight in config.weights):
            raise ExportError(
                f"{place / bundle.CONFIG}: weights are not one positive number per member; export it again"
            )
        members = tuple(Classifier.load(place / name) for name in config.members)
        for name, member in zip(config.members, members, strict=True):
            if member.labels != labels:
                raise ExportError(
                    f"{place / name / bundle.LABELS}: other genres than the ensemble's; export it again"
                )
        return cls(config, labels, members)

    @property
    def from_pictures(self) -> bool:
        """Whether it takes pictures of spectrograms, not audio."""
        return self.members[0].from_pictures

    def predict(self, path: str | Path) -> Prediction:
        """Name the genre of a file: the weighted mean of the members' probabilities of the whole file.

        The timeline has the segments of the member with the shortest ones; at each of them every member says
        what it says of its own segment there.

        Raises
        ------
        AudioError
            If the file cannot be used.
        """
        predictions = [member.predict(path) for member in self.members]
        probabilities = self._vote([prediction.probabilities for prediction in predictions])
        starts = max((prediction.start_s for prediction in predictions), key=len)
        return Prediction(
            path=str(path),
            probabilities=dict(sorted(probabilities.items(), key=lambda pair: -pair[1])),
            start_s=starts,
            segments=[
                self._vote([_segment_at(start, prediction) for prediction in predictions]) for start in starts
            ],
        )

    def _vote(self, by_member: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Average the members' probabilities by their weights, and calibrate the mean."""
        shares = np.array([[each[label] for label in self.labels] for each in by_member])
        mean = np.average(shares, axis=0, weights=self.config.weights or None)
        if self.config.temperature != 1:
            mean = apply_temperature(mean, self.config.temperature)
        return dict(zip(self.labels, map(float, mean), strict=True))


def _segment_at(second: float, prediction: Prediction) -> dict[str, float]:
    """Return a member's probabilities of its segment at a time."""
    number = int(np.searchsorted(prediction.start_s, second + 1e-9, side="right")) - 1
    return prediction.segments[max(number, 0)]


def is_ensemble(folder: str | Path) -> bool:
    """Whether the export in a folder says that it is an ensemble.

    Raises
    ------
    ExportError
        If there is no export.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ExportError(f"{folder}: no such folder; make an export with 'python -m results.export'")
    content = bundle.read_json(place, bundle.CONFIG)
    return isinstance(content, dict) and content.get("kind") == "ensemble"
