"""What the server says about its model before a song is uploaded."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from results.model import files
from results.model.classifier import Classifier
from results.model.ensemble import Ensemble


class Accuracy(BaseModel):
    """An accuracy with its 95 % interval.

    Attributes
    ----------
    accuracy, low, high : float
        Accuracy and the bounds of the interval, as fractions.
    n : int
        Number of tracks.
    tracks : str
        ``test`` for tracks that the search never saw, otherwise ``validation``.
    """

    accuracy: float
    low: float
    high: float
    n: int
    tracks: str


class ModelSummary(BaseModel):
    """Description of an exported model.

    Attributes
    ----------
    model : str
        The family, or the number of models of an ensemble.
    genres : list of str
        The genres it tells apart.
    accuracy : Accuracy or None
        Its accuracy, on the held-out test set if there is one.
    created : str
        Day of the export in ISO 8601.
    synthetic : bool
        Whether it was trained on synthetic music.
    """

    model: str
    genres: list[str]
    accuracy: Accuracy | None
    created: str
    synthetic: bool

    @classmethod
    def of(cls, folder: str | Path, model: Classifier | Ensemble) -> ModelSummary:
        """Describe a loaded export.

        Parameters
        ----------
        folder : str or Path
            Folder of the export.
        model : Classifier or Ensemble
            The loaded model.

        Raises
        ------
        ExportError
            If ``metrics.json`` is missing or invalid.
        """
        path = Path(folder)
        metrics = files.read_json(path, files.METRICS)
        name = next((name for name in ("test", "validation") if name in metrics), None)
        accuracy = None
        if name is not None:
            content = {**metrics[name], "tracks": name}
            accuracy = files.validated(Accuracy, content, path / files.METRICS)
        return cls(
            model=model.family.name
            if isinstance(model, Classifier)
            else f"ensemble of {len(model.members)} models",
            genres=model.labels,
            accuracy=accuracy,
            created=model.config.created[:10],
            synthetic=model.config.synthetic,
        )
