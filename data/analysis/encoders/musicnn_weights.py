"""Find and read the published weights of MusiCNN.

The wheel ``musicnn==0.1.0`` contains them. It is never imported, because its code needs TensorFlow 1. The
files are a TensorFlow checkpoint, which contains arrays and no code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from data.errors import EncoderError

PACKAGE, VERSION = "musicnn", "0.1.0"
MODEL = "MSD_musicnn"
"""The network trained on the Million Song Dataset; it is 8 to 10 points better than that of MagnaTagATune."""
_INDEX, _DATA = ".index", ".data-00000-of-00001"
LICENCE = "LICENSE.md"


@dataclass(frozen=True)
class WeightFiles:
    """Files of one checkpoint.

    Attributes
    ----------
    index, data : Path
        The checkpoint's two files.
    licence : Path or None
        Text of its licence, if it is in the same folder.
    """

    index: Path
    data: Path
    licence: Path | None

    def named(self) -> dict[str, Path]:
        """Return the files and licence, by names that `find_weights` expects in a folder."""
        named = {f"{MODEL}{_INDEX}": self.index, f"{MODEL}{_DATA}": self.data}
        return named if self.licence is None else named | {LICENCE: self.licence}

    def reader(self) -> Callable[[str], np.ndarray]:
        """Return a function that returns the float32 value of a variable by its name.

        Raises
        ------
        EncoderError
            If the files are not a checkpoint; the function raises it for a missing variable.
        """
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:
            # TensorFlow finds the files by a prefix, which must not be empty as in the wheel.
            (Path(folder) / f"{MODEL}{_INDEX}").symlink_to(self.index.resolve())
            (Path(folder) / f"{MODEL}{_DATA}").symlink_to(self.data.resolve())
            try:
                checkpoint = tf.train.load_checkpoint(str(Path(folder) / MODEL))
                names = [
                    name for name in checkpoint.get_variable_to_shape_map() if not name.endswith(_UNUSED)
                ]
                values = {name: np.asarray(checkpoint.get_tensor(name)) for name in names}
            # TensorFlow raises many classes: RuntimeError, ValueError, and its own errors.
            except Exception as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise EncoderError(
                    f"{self.index}: not the checkpoint of {MODEL} ({reason}); run 'make embeddings' again"
                ) from error

        def read(name: str) -> np.ndarray:
            if name not in values:
                raise EncoderError(f"{self.index}: has no variable {name!r}; this is not {MODEL}")
            return values[name]

        return read


_UNUSED = ("/Adam", "/Adam_1", "_power")
"""Suffixes of the variables of the optimizer that trained the network."""


def find_weights(folder: str | Path | None = None) -> WeightFiles:
    """Find the weights, in a folder or in the installed wheel.

    Parameters
    ----------
    folder : str or Path, optional
        A folder that contains the wheel's ``MSD_musicnn``, or its two files, named as in the wheel or
        ``MSD_musicnn.index`` and ``MSD_musicnn.data-00000-of-00001``.

    Raises
    ------
    EncoderError
        If they are missing.
    """
    if folder is not None:
        return _in_folder(Path(folder))
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise EncoderError(
            f"--embedding musicnn: the weights are not installed; run 'make embeddings' (or 'pip install"
            f" --no-deps {PACKAGE}=={VERSION}'), or pass their folder to --embedding-weights DIR"
        ) from error
    paths = {str(file): Path(str(file.locate())) for file in distribution.files or ()}
    index, data = (paths.get(f"{PACKAGE}/{MODEL}/{name}") for name in (_INDEX, _DATA))
    if index is None or data is None or not (index.is_file() and data.is_file()):
        raise EncoderError(
            f"--embedding musicnn: the installed package {PACKAGE} {distribution.version} lacks {MODEL};"
            f" run 'pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}'"
        )
    licences = [path for name, path in paths.items() if Path(name).name == LICENCE]
    return WeightFiles(index, data, licences[0] if licences else None)


def _in_folder(folder: Path) -> WeightFiles:
    for parent in (folder, folder / MODEL):
        for prefix in ("", MODEL):
            index, data = parent / f"{prefix}{_INDEX}", parent / f"{prefix}{_DATA}"
            if index.is_file() and data.is_file():
                candidates = (parent / LICENCE, folder / LICENCE)
                licence = next((path for path in candidates if path.is_file()), None)
                return WeightFiles(index, data, licence)
    raise EncoderError(
        f"--embedding-weights {folder}: has no {MODEL}{_INDEX} and {MODEL}{_DATA}; pass the folder of"
        f" {PACKAGE}'s weights"
    )
