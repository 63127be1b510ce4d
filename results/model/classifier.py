"""An exported model at work: audio in, genres with probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import spaces
from data.analysis.embeddings import ENCODERS, open_encoders
from data.analysis.feature_names import FEATURES
from data.analysis.kinds import FEATURE_KIND, kinds_in
from data.analysis.segments import row_shape
from data.dataset.calibration import apply_temperature
from data.dataset.task import Inputs
from data.dataset.track_scores import vote
from data.errors import ExportError, HarnessError
from results.model import files as bundle

if TYPE_CHECKING:
    import keras

    from spaces.training.family import Family

_AT_ONCE = 256
"""Rows that are judged together."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of an audio file.

    Attributes
    ----------
    path : str
        The file.
    probabilities : dict of str to float
        Probability of each genre, the likeliest first: the mean over the segments.
    start_s : list of float
        Where each segment starts, in seconds.
    segments : list of dict
        Probability of each genre, in the order of the labels, segment by segment.
    """

    path: str
    probabilities: dict[str, float]
    start_s: list[float]
    segments: list[dict[str, float]]

    @property
    def genre(self) -> str:
        """The likeliest genre."""
        return next(iter(self.probabilities))


@dataclass(frozen=True)
class Classifier:
    """An exported model.

    Attributes
    ----------
    config : BundleConfig
        Which trial it is, and how it was trained.
    preprocess : Preprocess
        The way from audio to the network's input.
    labels : list of str
        Genres, in the order of the network's outputs.
    family : Family
        The model family.
    model : keras.Model
        Takes prepared inputs, gives probabilities.
    encoders : str
        Folder of the encoders' files.
    """

    config: bundle.BundleConfig
    preprocess: bundle.Preprocess
    labels: list[str]
    family: Family
    model: keras.Model
    encoders: str = ""

    @classmethod
    def load(cls, folder: str | Path) -> Classifier:
        """Load an export and try it on one row.

        Raises
        ------
        ExportError
            If there is none, or a file of it is missing or not what it should be.
        """
        place = Path(folder)
        if not place.is_dir():
            raise ExportError(f"{folder}: no such folder; make an export with 'python -m results.export'")
        config = bundle.read_config(place, bundle.BundleConfig)
        preprocess, labels = bundle.read_preprocess(place), bundle.read_labels(place)
        if config.family not in spaces.names():
            raise ExportError(f"{place / bundle.CONFIG}: family {config.family!r} is not known here")
        family = spaces.get(config.family)
        columns = list(FEATURES) if FEATURE_KIND in kinds_in(preprocess.reads) else []
        if not family.accepts(preprocess.reads) or preprocess.columns != columns:
            raise ExportError(
                f"{place / bundle.PREPROCESS}: reads other inputs than this program takes from audio;"
                " export the model again"
            )
        encoders = str((place / ENCODERS).absolute())
        classifier = cls(config, preprocess, labels, family, bundle.read_model(place), encoders)
        classifier._try(place)
        open_encoders(preprocess.parameters.embeddings, encoders)
        return classifier

    def _try(self, place: Path) -> None:
        """Prepare and judge a row of zeros, so that files that do not fit each other are found now."""
        try:
            rows = np.zeros((1, *row_shape(self.preprocess.parameters, self.preprocess.reads)))
            inputs = self.family.prepare(rows, self.preprocess.preparation)
        except Exception as error:  # a preparation of other content fails in as many ways as it is used
            raise ExportError(
                f"{place / bundle.PREPROCESS}: preparation does not fit the family {self.family.name}"
                f" ({type(error).__name__}: {error}); export the model again"
            ) from error
        if self.model.input_shape[1:] != inputs.shape[1:]:
            raise ExportError(
                f"{place / bundle.MODEL}: takes inputs of shape {self.model.input_shape[1:]}, but"
                f" {bundle.PREPROCESS} gives {inputs.shape[1:]}; export the model again"
            )
        outputs = self.model.output_shape[-1]
        if outputs != len(self.labels):
            raise ExportError(
                f"{place / bundle.LABELS}: names {len(self.labels)} genres, but {bundle.MODEL} tells"
                f" {outputs} apart; export the model again"
            )

    @property
    def from_pictures(self) -> bool:
        """Whether it takes pictures of spectrograms, not audio."""
        return self.preprocess.parameters.from_pictures

    def judge_rows(self, X: Inputs) -> np.ndarray:
        """Probabilities of rows as a cache holds them.

        Parameters
        ----------
        X : ndarray or TensorRows, shape (n, ...)
            Inputs, one a segment.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            In the order of `labels`.
        """
        found = []
        # A few rows at a time: tensors may be larger than memory.
        for first in range(0, len(X), _AT_ONCE):
            rows = X[np.arange(first, min(first + _AT_ONCE, len(X)))]
            inputs = self.family.prepare(rows, self.preprocess.preparation)
            found.append(self.model.predict(inputs, verbose=0))
        return np.concatenate(found).astype(np.float64)

    def predict(self, path: str | Path) -> Prediction:
        """Name the genre of an audio file of any kind that libsndfile reads, or of a picture.

        What it takes is what it was trained on; see `from_pictures`.

        Raises
        ------
        AudioError
            If the file cannot be used.
        """
        from data.analysis.segments import of_file

        X, start_s = of_file(path, self.preprocess.parameters, self.preprocess.reads, encoders=self.encoders)
        rows = self.judge_rows(X)
        if not np.isfinite(rows).all():
            raise HarnessError(f"{path}: the model gives no finite answer to this file")
        mean = vote(rows, np.zeros(len(rows), dtype=np.int64), 1)[0]
        if self.config.temperature != 1:
            mean, rows = (apply_temperature(each, self.config.temperature) for each in (mean, rows))
        return Prediction(
            path=str(path),
            probabilities={self.labels[number]: float(mean[number]) for number in np.argsort(-mean)},
            start_s=[float(second) for second in start_s],
            segments=[dict(zip(self.labels, map(float, row), strict=True)) for row in rows],
        )
