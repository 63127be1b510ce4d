"""The files of an export: what stands in each, how they are written and how they are read again.

Nothing in them is unpickled: the network is Keras's own format, read in its safe mode, the rest is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.analysis.parameters import Parameters
from data.errors import ExportError
from results.quiet import import_keras

if TYPE_CHECKING:
    import keras

FORMAT = 1
"""Version of the layout."""

MODEL = "model.keras"
CONFIG = "config.json"
PREPROCESS = "preprocess.json"
LABELS = "labels.json"
METRICS = "metrics.json"
CARD = "README.md"
PICTURE = "confusion.png"

_Content = TypeVar("_Content", bound=BaseModel)


class BundleConfig(BaseModel):
    """Content of ``config.json``: which trial this is, and how it was trained.

    Attributes
    ----------
    format : int
        Version of the layout.
    family, run, trial_id : str
        Where the configuration comes from.
    config : dict
        The configuration.
    epochs : int
        Epochs that the exported network was trained for.
    seed : int
        Seed of the run, and of this training.
    synthetic : bool
        Whether the training data was synthesised.
    cache_fingerprint, split_fingerprint : str
        The data, and who saw what of it.
    created : str
        Time in ISO 8601, UTC.
    versions : dict
        Versions of Python and of the libraries.
    temperature : float
        By which the probabilities of tracks are calibrated, above 0; 1 leaves them as they are.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    family: str
    run: str
    trial_id: str
    config: dict[str, Any]
    epochs: int
    seed: int
    synthetic: bool
    cache_fingerprint: str
    split_fingerprint: str
    created: str
    versions: dict[str, str]
    temperature: float = Field(default=1.0, gt=0)


class Preprocess(BaseModel):
    """Content of ``preprocess.json``: the way from an audio file to the network's input.

    Attributes
    ----------
    reads : str
        What is taken from the audio: ``features``, ``melspec`` or ``image``.
    parameters : Parameters
        How it is taken.
    columns : list of str
        Names of the features, in order; none of tensors.
    preparation : dict
        What the family's ``prepare`` needs, fitted on the training rows.
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
        If it is missing or is not JSON.
    """
    path = folder / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExportError(
            f"{path}: missing, so this is not a whole export; export the model again"
        ) from error
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: not a JSON file ({error}); export the model again") from error


def read_config(folder: Path, kind: type[_Content]) -> _Content:
    """Read ``config.json`` of a single model or an ensemble.

    Raises
    ------
    ExportError
        If it is missing, of another version, or not what it should be.
    """
    content = read_json(folder, CONFIG)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ExportError(
            f"{folder / CONFIG}: an export of version {found}, but this program reads version {FORMAT};"
            " export the model again"
        )
    return checked(kind, content, folder / CONFIG)


def read_preprocess(folder: Path) -> Preprocess:
    """Read ``preprocess.json``.

    Raises
    ------
    ExportError
        If it is missing or is not what it should be.
    """
    return checked(Preprocess, read_json(folder, PREPROCESS), folder / PREPROCESS)


def read_labels(folder: Path) -> list[str]:
    """Read ``labels.json``: genres in the order of the network's outputs.

    Raises
    ------
    ExportError
        If it is missing or is not a list of different names.
    """
    labels = read_json(folder, LABELS)
    names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not names or len(set(labels)) != len(labels) or len(labels) < 2:
        raise ExportError(f"{folder / LABELS}: not a list of different genres; export the model again")
    return list(labels)


def read_model(folder: Path) -> keras.Model:
    """Read ``model.keras`` in Keras's safe mode, which runs no code that the file brings.

    Raises
    ------
    ExportError
        If it is missing or is not a whole Keras model.
    """
    path = folder / MODEL
    if not path.is_file():
        raise ExportError(f"{path}: missing, so this is not a whole export; export the model again")
    import_keras()
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras lets through whatever zip, JSON, HDF5 and its layers raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExportError(f"{path}: not a whole Keras model ({reason}); export the model again") from error


def checked(kind: type[_Content], content: Any, path: Path) -> _Content:
    """Validate what a JSON file of an export holds.

    Raises
    ------
    ExportError
        If it is not what it should be.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise ExportError(f"{path}: {where}: {first['msg']}; export the model again") from error
