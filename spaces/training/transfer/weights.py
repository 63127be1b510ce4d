"""Weights of backbones: from Keras's own download, from a file, or none; checked before a search starts."""

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
"""The sources that are not files."""

_SILENCE_SECONDS = 60.0
"""How long a download may be silent."""

_UNTRAINED_SEED = 0
"""Seed of the weights where there are none: fixed, so that what a backbone makes of the pictures is too."""


def settle(source: str, names: tuple[str, ...]) -> dict[str, str]:
    """Find out which backbones weights are there for.

    Parameters
    ----------
    source : str
        ``imagenet``, ``none`` or a file.
    names : tuple of str
        The backbones that are wanted, the likeliest first.

    Returns
    -------
    dict of str to str
        Fingerprint of the weights by backbone: the file's SHA-256, or ``none``.

    Raises
    ------
    SettingsError
        In one line, if weights cannot be downloaded, or a file fits none of the backbones.
    """
    if source == NONE:
        return dict.fromkeys(names, NONE)
    import_keras()
    if source == IMAGENET:
        for name in names:
            _load(name, source)
        return {name: fingerprint(name, source) for name in names}
    _readable(source)
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
    """SHA-256 of the file of a backbone's weights, in hex, or ``none``."""
    if source == NONE:
        return NONE
    if source == IMAGENET:
        path = _downloaded(name)
        with _no_download(path):
            there = path.exists()
        if not there:
            # This node has not loaded them yet.
            _load(name, source)
    else:
        path = Path(source)
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise SettingsError(f"--weights {source}: cannot be read ({error.strerror})") from error


def load(name: str, source: str) -> list[np.ndarray]:
    """Weights of the bare backbone, in its order.

    Raises
    ------
    SettingsError
        If they cannot be had, in one line.
    """
    weights: list[np.ndarray] = _load(name, source).get_weights()
    return weights


@lru_cache(maxsize=8)
def _digest(path: Path, *_: int) -> str:
    # What follows the path tells its versions apart.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(name: str, source: str) -> keras.Model:
    """Return the bare backbone, as small as it can be, with its weights."""
    if source == IMAGENET:
        return _from_keras(name)
    model = bare(name, BACKBONES[name].smallest)
    if source == NONE:
        model.set_weights(_drawn(model))
        return model
    _readable(source)
    try:
        with warnings.catch_warnings():
            # Keras warns of each layer before it raises.
            warnings.simplefilter("ignore")
            model.load_weights(source)
    except Exception as error:  # Keras lets through whatever HDF5 and its layers raise
        raise SettingsError(
            f"--weights {source}: not the weights of {name} without its top ({_first_line(error)})"
        ) from error
    return model


def _from_keras(name: str) -> keras.Model:
    import keras

    backbone = BACKBONES[name]
    make = getattr(keras.applications, backbone.application)
    size, path = backbone.smallest, _downloaded(name)
    weights = str(path) if _read_only(path) else "imagenet"
    try:
        # Keras writes to the file's own name.
        with _no_download(path), _impatient():
            model: keras.Model = make(include_top=False, weights=weights, input_shape=(size, size, 3))
    except Exception as error:  # a bare Exception is what Keras raises where there is no network
        raise SettingsError(
            f"--weights imagenet: Keras cannot download {backbone.download} ({_first_line(error)});"
            f" put that file into {_downloaded(name).parent}, or name it by --weights FILE"
        ) from error
    return model


def _no_download(path: Path) -> contextlib.AbstractContextManager[None]:
    """Wait while another process downloads a file; into a folder that is read-only nobody does."""
    return contextlib.nullcontext() if _read_only(path) else alone(path)


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Let a connection that is silent end with an error: Keras itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _read_only(path: Path) -> bool:
    """Whether a download is there, in a folder that Keras would pass over because it cannot write to it."""
    places = (path.parent, path.parent.parent)
    return path.exists() and not all(os.access(place, os.W_OK) for place in places)


def _downloaded(name: str) -> Path:
    """Where Keras puts its download."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "models" / BACKBONES[name].download


def _readable(source: str) -> None:
    """Refuse what is not a whole HDF5 file."""
    import h5py

    if not Path(source).is_file():
        raise SettingsError(
            f"--weights {source}: no such file; give imagenet, none, or a file (.weights.h5 or .h5)"
        )
    if not source.endswith((".h5", ".hdf5")):
        raise SettingsError(f"--weights {source}: weights are read from files named .weights.h5 or .h5")
    try:
        with h5py.File(source, "r") as file:
            file.visititems(_read_through)
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"--weights {source}: not a whole HDF5 file ({_first_line(error)}); was it cut short?"
        ) from error


def _read_through(name: str, found: object) -> None:
    import h5py

    if isinstance(found, h5py.Dataset) and found.dtype.kind == "f" and not np.isfinite(found[()]).all():
        raise ValueError(f"{name} holds numbers that are not finite")


def _drawn(model: keras.Model) -> list[np.ndarray]:
    """Kernels by He's (2015) normal rule; biases, scales and moments as they begin."""
    rng = np.random.default_rng(_UNTRAINED_SEED)
    drawn = []
    for variable in model.weights:
        value = np.asarray(variable)
        if value.ndim > 1:
            # A depthwise kernel adds up one channel, another as many as it has inputs.
            depthwise = "depthwise" in variable.path
            inputs = np.prod(value.shape[:2]) if depthwise else np.prod(value.shape[:-1])
            value = rng.normal(scale=np.sqrt(2 / inputs), size=value.shape).astype(np.float32)
        drawn.append(value)
    return drawn


def _first_line(error: Exception) -> str:
    """Say what went wrong in the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return json.dumps(lines[0][:200])[1:-1] if lines else type(error).__name__
