"""Weights of backbones: downloaded by Keras, from a file, or none; checked before a search starts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import SettingsError
from data.io.keras_import import import_keras
from data.io.scratch import alone
from spaces.training.transfer.backbones import BACKBONES, bare

if TYPE_CHECKING:
    import keras

IMAGENET, NONE = "imagenet", "none"
"""Sources that are not files."""

_DOWNLOAD_TIMEOUT_SECONDS = 60.0
"""Maximum time that a download waits for data."""

_UNTRAINED_SEED = 0
"""Seed of the random weights of source ``none``; fixed, so that the outputs of a backbone are too."""


def find_weights(source: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the backbones that a source has weights for.

    Parameters
    ----------
    source : str
        ``imagenet``, ``none`` or a file.
    names : tuple of str
        Candidates. A file is compared with each in this order.

    Returns
    -------
    dict of str to str
        Fingerprint of the weights by backbone: the SHA-256 of the file, or ``none``.

    Raises
    ------
    SettingsError
        If weights cannot be downloaded, or a file fits none of the backbones.
    """
    if source == NONE:
        return dict.fromkeys(names, NONE)
    import_keras()
    if source == IMAGENET:
        for name in names:
            _load(name, source)
        return {name: fingerprint(name, source) for name in names}
    _check_readable(source)
    reason = ""
    for name in names:
        try:
            _load(name, source)
        except SettingsError as error:
            reason = reason or str(error)
        else:
            return {name: fingerprint(name, source)}
    raise SettingsError(reason if len(names) == 1 else f"{reason}; nor of {', '.join(names[1:])}")


def fingerprint(name: str, source: str) -> str:
    """Return the SHA-256 of the file with a backbone's weights, in hexadecimal, or ``none``."""
    if source == NONE:
        return NONE
    if source == IMAGENET:
        path = _downloaded(name)
        with _download_lock(path):
            is_downloaded = path.exists()
        if not is_downloaded:
            # The first use on this node.
            _load(name, source)
    else:
        path = Path(source)
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise SettingsError(f"--weights {source}: cannot be read ({error.strerror})") from error


def load(name: str, source: str) -> list[np.ndarray]:
    """Return weights in the order of the `bare` backbone.

    Raises
    ------
    SettingsError
        If they cannot be downloaded or read.
    """
    weights: list[np.ndarray] = _load(name, source).get_weights()
    return weights


@lru_cache(maxsize=8)
def _digest(path: Path, *_: int) -> str:
    # The further arguments distinguish versions of the file.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(name: str, source: str) -> keras.Model:
    """Return the `bare` backbone for the smallest images, with its weights."""
    if source == IMAGENET:
        return _from_keras(name)
    model = bare(name, BACKBONES[name].min_size)
    if source == NONE:
        model.set_weights(_random_weights(model))
        return model
    _check_readable(source)
    try:
        with warnings.catch_warnings():
            # Keras warns about every layer before it raises an error.
            warnings.simplefilter("ignore")
            model.load_weights(source)
    except Exception as error:  # Keras passes on any exception of HDF5 and its layers
        raise SettingsError(
            f"--weights {source}: not the weights of {name} without its top layers ({_first_line(error)})"
        ) from error
    return model


def _from_keras(name: str) -> keras.Model:
    import keras

    backbone = BACKBONES[name]
    create = getattr(keras.applications, backbone.application)
    size, path = backbone.min_size, _downloaded(name)
    weights = str(path) if _read_only(path) else "imagenet"
    try:
        # Keras downloads to the final name, so another process could read an incomplete file.
        with _download_lock(path), _download_timeout():
            model: keras.Model = create(include_top=False, weights=weights, input_shape=(size, size, 3))
    except Exception as error:  # Keras raises a bare Exception without a network
        raise SettingsError(
            f"--weights imagenet: Keras cannot download {backbone.download} ({_first_line(error)});"
            f" copy that file to {_downloaded(name).parent}, or pass it with --weights FILE"
        ) from error
    return model


def _download_lock(path: Path) -> contextlib.AbstractContextManager[None]:
    """Return a lock on a download; a file in a read-only folder needs none."""
    return contextlib.nullcontext() if _read_only(path) else alone(path)


@contextlib.contextmanager
def _download_timeout() -> Iterator[None]:
    """Limit the time that a connection waits for data; Keras would wait indefinitely."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _read_only(path: Path) -> bool:
    """Return whether a downloaded file is in a folder that Keras would not use, because it is read-only."""
    folders = (path.parent, path.parent.parent)
    return path.exists() and not all(os.access(folder, os.W_OK) for folder in folders)


def _downloaded(name: str) -> Path:
    """Return the path of Keras's download."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "models" / BACKBONES[name].download


def _check_readable(source: str) -> None:
    """Check that a file is a complete HDF5 file of finite numbers."""
    import h5py

    if not Path(source).is_file():
        raise SettingsError(
            f"--weights {source}: no such file; use imagenet, none, or a file (.weights.h5 or .h5)"
        )
    if not source.endswith((".h5", ".hdf5")):
        raise SettingsError(f"--weights {source}: the name of a weights file ends in .weights.h5 or .h5")
    try:
        with h5py.File(source, "r") as file:
            file.visititems(_check_finite)
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"--weights {source}: not a complete HDF5 file ({_first_line(error)}); copy it again"
        ) from error


def _check_finite(name: str, item: object) -> None:
    import h5py

    if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not np.isfinite(item[()]).all():
        raise ValueError(f"{name} contains numbers that are not finite")


def _random_weights(model: keras.Model) -> list[np.ndarray]:
    """Draw kernels by the normal rule of He et al. (2015); keep other weights at their initial values."""
    rng = np.random.default_rng(_UNTRAINED_SEED)
    weights = []
    for variable in model.weights:
        value = np.asarray(variable)
        if value.ndim > 1:
            # A depthwise kernel sums over one channel, other kernels over all input channels.
            is_depthwise = "depthwise" in variable.path
            n_inputs = np.prod(value.shape[:2]) if is_depthwise else np.prod(value.shape[:-1])
            value = rng.normal(scale=np.sqrt(2 / n_inputs), size=value.shape).astype(np.float32)
        weights.append(value)
    return weights


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(lines[0][:200])[1:-1] if lines else type(error).__name__
