"""The files of an export: their content, reading and writing.

Nothing is unpickled: the network is stored in Keras's own format and in ONNX (see `results.model.network`),
the rest is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from data.analysis.parameters import Parameters
from data.errors import ExportError
from data.io import documents
from data.io.documents import require_format

FORMAT = 1
"""Version of the export format."""

CONFIG = "config.json"
PREPROCESS = "preprocess.json"
LABELS = "labels.json"
METRICS = "metrics.json"
CARD = "README.md"
CONFUSION_PLOT = "confusion.png"

_Content = TypeVar("_Content", bound=BaseModel)


class BundleConfig(BaseModel):
    """Content of ``config.json``: the exported trial and its training.

    Attributes
    ----------
    format : int
        Version of the export format.
    family, run, trial_id : str
        The trial whose configuration was exported.
    config : dict
        The configuration of the trial.
    epochs : int
        Number of epochs of the final training.
    averaged_epochs : int
        Number of its last epochs whose weights were averaged.
    seed : int
        Seed of the run and of the final training.
    synthetic : bool
        Whether the training data was synthesised.
    cache_fingerprint, split_fingerprint : str
        Fingerprints of data and split.
    created : str
        Time in ISO 8601, UTC.
    versions : dict
        Versions of Python and of the libraries.
    temperature : float
        Temperature that calibrates the probabilities of tracks, above 0; 1 changes nothing.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    family: str
    run: str
    trial_id: str
    config: dict[str, Any]
    epochs: int
    averaged_epochs: int = 1
    seed: int
    synthetic: bool
    cache_fingerprint: str
    split_fingerprint: str
    created: str
    versions: dict[str, str]
    temperature: float = Field(default=1.0, gt=0)


class Preprocess(BaseModel):
    """Content of ``preprocess.json``: how an audio file is converted to the network's input.

    Attributes
    ----------
    reads : str
        Kind of input, such as ``features``, ``melspec`` or ``image``.
    parameters : Parameters
        Parameters of the analysis.
    columns : list of str
        Names of the features in order; empty if none are read.
    preparation : dict
        Arguments of the family's ``prepare``, fitted on the training rows.
    """

    model_config = ConfigDict(extra="forbid")

    reads: str
    parameters: Parameters
    columns: list[str]
    preparation: dict[str, Any]


def write_json(folder: Path, name: str, content: Any) -> None:
    """Write a JSON file of an export that is being built."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def read_json(folder: Path, name: str) -> Any:
    """Read a JSON file of an export.

    Raises
    ------
    ExportError
        If the file is missing or is not JSON.
    """
    path = folder / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExportError(f"{path}: missing, so the export is incomplete; export the model again") from error
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: not a JSON file ({error}); export the model again") from error


def read_config(folder: Path, kind: type[_Content]) -> _Content:
    """Read ``config.json`` of a single model or an ensemble.

    Raises
    ------
    ExportError
        If the file is missing, has another version, or is invalid.
    """
    content = read_json(folder, CONFIG)
    require_format(
        content, (FORMAT,), where=str(folder / CONFIG), error=ExportError, advice="export the model again"
    )
    return validated(kind, content, folder / CONFIG)


def read_preprocess(folder: Path) -> Preprocess:
    """Read ``preprocess.json``.

    Raises
    ------
    ExportError
        If the file is missing or invalid.
    """
    return validated(Preprocess, read_json(folder, PREPROCESS), folder / PREPROCESS)


def read_labels(folder: Path) -> list[str]:
    """Read ``labels.json``: genres in the order of the network's outputs.

    Raises
    ------
    ExportError
        If the file is missing or is not a list of distinct names.
    """
    labels = read_json(folder, LABELS)
    is_list_of_names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not is_list_of_names or len(set(labels)) != len(labels) or len(labels) < 2:
        raise ExportError(f"{folder / LABELS}: not a list of distinct genres; export the model again")
    return list(labels)


def validated(kind: type[_Content], content: Any, path: Path) -> _Content:
    """Validate the content of a JSON file of an export.

    Raises
    ------
    ExportError
        If the content is invalid.
    """
    return documents.validated(
        kind, content, where=str(path), error=ExportError, advice="export the model again"
    )
