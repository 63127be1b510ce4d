"""Classify audio files with an exported model."""

from __future__ import annotations

from collections.abc import Sequence
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
from data.dataset.track_scores import vote
from data.errors import ExportError, HarnessError
from data.io.command_names import command_name
from results.model import files
from results.model.network import Network, open_network
from results.model.prediction import Prediction
from results.model.predictor import Predictor
from results.model.reader import ModelInputs, Reader

if TYPE_CHECKING:
    from data.dataset.task import Inputs
    from spaces.training.family import Family

_BATCH_ROWS = 256
"""Rows per batch."""


@dataclass(frozen=True)
class Classifier(Predictor):
    """An exported model.

    Attributes
    ----------
    config : BundleConfig
        The exported trial and its training.
    preprocess : Preprocess
        How audio is converted to the network's input.
    labels : list of str
        Genres, in the order of the network's outputs.
    family : Family
        The model family.
    network : Network
        The network, from prepared inputs to probabilities.
    encoders : str
        Folder of the encoders' files.
    """

    config: files.BundleConfig
    preprocess: files.Preprocess
    labels: list[str]
    family: Family
    network: Network
    encoders: str = ""

    @classmethod
    def load(cls, folder: str | Path) -> Classifier:
        """Load an export and check it on one row.

        Raises
        ------
        ExportError
            If the export does not exist, or one of its files is missing or invalid.
        """
        path = Path(folder)
        if not path.is_dir():
            raise ExportError(
                f"{folder}: no such folder; create an export with '{command_name('results.export')}'"
            )
        config = files.read_config(path, files.BundleConfig)
        preprocess, labels = files.read_preprocess(path), files.read_labels(path)
        if config.family not in spaces.names():
            raise ExportError(f"{path / files.CONFIG}: unknown family {config.family!r}")
        family = spaces.get(config.family)
        columns = list(FEATURES) if FEATURE_KIND in kinds_in(preprocess.reads) else []
        if not family.accepts(preprocess.reads) or preprocess.columns != columns:
            raise ExportError(
                f"{path / files.PREPROCESS}: describes inputs that this version cannot compute; export the"
                " model again"
            )
        encoders = str((path / ENCODERS).absolute())
        classifier = cls(config, preprocess, labels, family, open_network(path), encoders)
        classifier._check(path)
        open_encoders(preprocess.parameters.embeddings, encoders)
        return classifier

    def _check(self, path: Path) -> None:
        """Prepare a row of zeros, to detect files that do not match each other."""
        try:
            rows = np.zeros((1, *row_shape(self.preprocess.parameters, self.preprocess.reads)))
            inputs = self.family.prepare(rows, self.preprocess.preparation)
        except Exception as error:  # invalid content can raise any error
            raise ExportError(
                f"{path / files.PREPROCESS}: preparation does not match the family {self.family.name}"
                f" ({type(error).__name__}: {error}); export the model again"
            ) from error
        network = self.network
        if not network.accepts(inputs.shape[1:]):
            raise ExportError(
                f"{path / network.file}: expects inputs of shape {network.input_shape}, but"
                f" {files.PREPROCESS} produces {inputs.shape[1:]}; export the model again"
            )
        if network.n_outputs != len(self.labels):
            raise ExportError(
                f"{path / files.LABELS}: names {len(self.labels)} genres, but {network.file} has"
                f" {network.n_outputs} outputs; export the model again"
            )

    @property
    def reads_images(self) -> bool:
        """Whether the model reads spectrogram images instead of audio."""
        return self.preprocess.parameters.from_pictures

    def predict_rows(self, X: Inputs) -> np.ndarray:
        """Predict the genre probabilities of rows of a cache, without calibration.

        Parameters
        ----------
        X : ndarray or TensorRows, shape (n, ...)
            Inputs, one row per segment.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            Probabilities in the order of `labels`.
        """
        batches = []
        # In batches, because the tensors may be larger than memory.
        for first in range(0, len(X), _BATCH_ROWS):
            rows = X[np.arange(first, min(first + _BATCH_ROWS, len(X)))]
            inputs = self.family.prepare(rows, self.preprocess.preparation)
            batches.append(self.network.run(inputs))
        return np.concatenate(batches).astype(np.float64)

    @property
    def readers(self) -> tuple[Reader, ...]:
        """How the model reads a file: one reader."""
        return (Reader(self.preprocess.parameters, self.preprocess.reads, self.encoders),)

    def predict_inputs(self, inputs: Sequence[ModelInputs], path: str) -> Prediction:
        """Predict the genre of a song whose inputs were read; see `Predictor.predict_inputs`."""
        (read,) = inputs
        rows = self.predict_rows(read.X)
        if not np.isfinite(rows).all():
            raise HarnessError(f"{path}: the model's output for this file is not finite")
        mean = vote(rows, np.zeros(len(rows), dtype=np.int64), 1)[0]
        start_s = read.start_s
        if read.window is not None:
            rows, start_s = read.window.over_time(rows, start_s)
        if self.config.temperature != 1:
            mean, rows = (
                apply_temperature(probabilities, self.config.temperature) for probabilities in (mean, rows)
            )
        return Prediction(
            path=path,
            probabilities={self.labels[number]: float(mean[number]) for number in np.argsort(-mean)},
            start_s=[float(second) for second in start_s],
            segments=[dict(zip(self.labels, map(float, row), strict=True)) for row in rows],
        )
