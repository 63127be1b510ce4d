"""What Python code can hand to a model: a path, samples, or an open file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

Song: TypeAlias = str | Path | np.ndarray | BinaryIO
"""A path, samples, or a binary file."""


@contextlib.contextmanager
def as_file(song: Song, rate: int | None) -> Iterator[tuple[Path, str]]:
    """Provide a song as a file of this machine, so that every source is decoded by the same code.

    Parameters
    ----------
    song : str, Path, ndarray or binary file
        An audio file or its path; or samples of shape (n,) or, in either order, n and the channels, where
        floating-point samples have full scale 1.
    rate : int or None
        Sample rate of the samples in Hz; only for an array.

    Yields
    ------
    path : Path
        The file; it is deleted at the end if it was made here.
    name : str
        Name of the song for messages.

    Raises
    ------
    TypeError
        If `song` is something else, or `rate` is missing or superfluous.
    ValueError
        If the samples are not one- or two-dimensional numbers.
    """
    if isinstance(song, np.ndarray):
        if rate is None:
            raise TypeError("predict(samples) needs their sample rate: predict(samples, rate)")
        with _samples_file(song, rate) as path:
            yield path, "samples"
        return
    if rate is not None:
        raise TypeError("a sample rate goes with an array of samples; a file states its own")
    if isinstance(song, str | Path):
        yield Path(song), str(song)
        return
    if not callable(getattr(song, "read", None)):
        raise TypeError(
            f"predict() takes a path, a list of paths, samples with their rate, or a binary file, not"
            f" {type(song).__name__}"
        )
    name = Path(str(getattr(song, "name", "") or "file")).name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"song{Path(name).suffix[:8]}"
        with path.open("wb") as target:
            content = song.read(0)
            if not isinstance(content, bytes):
                raise TypeError("predict() needs a file that is opened in binary mode, as open(path, 'rb')")
            shutil.copyfileobj(song, target)
        yield path, name


@contextlib.contextmanager
def _samples_file(y: np.ndarray, rate: int) -> Iterator[Path]:
    """Write samples as a WAV file of 32-bit floats, which loses nothing that the analysis uses."""
    import soundfile

    if y.ndim not in (1, 2) or y.dtype.kind not in "fiu":
        raise ValueError(f"samples are numbers of shape (n,) or (n, channels), not {y.dtype} of {y.shape}")
    if y.dtype.kind != "f":
        y = y / np.iinfo(y.dtype).max
    if y.ndim == 2 and y.shape[0] < y.shape[1]:
        y = y.T
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.wav"
        soundfile.write(path, y.astype(np.float32), rate, subtype="FLOAT")
        yield path
