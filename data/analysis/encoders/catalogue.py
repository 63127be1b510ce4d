"""Find the encoders that a user names, copy them into caches and exports, and open the copies."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from data.analysis.encoders import musicnn
from data.analysis.encoders.base import Encoder
from data.analysis.encoders.musicnn_onnx import FILE as ONNX_FORM
from data.analysis.encoders.musicnn_onnx import OnnxMusicnn
from data.analysis.encoders.musicnn_weights import find_weights
from data.analysis.encoders.onnx import OnnxEncoder, files_of
from data.analysis.encoders.pooling import POOLINGS
from data.analysis.kinds import FEATURE_KIND, SPECTROGRAM_KINDS
from data.analysis.parameters import Embedding
from data.errors import EncoderError
from data.io.extras import check_installed
from data.io.folder import Folder
from data.io.keras_import import import_keras
from data.io.runtime import Runtime
from data.io.scratch import making, scratch_folder, used

MUSICNN = "musicnn"
_POOLING: Literal["mean-std"] = "mean-std"
_ONNX_FILE = "encoder.onnx"
_LICENCE = re.compile(r"(?i)^(licen[cs]e|copying|notice)(\.(md|txt|rst))?$")
_RESERVED = frozenset({FEATURE_KIND, *SPECTROGRAM_KINDS})
"""Names of other inputs, which encoders cannot use."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder that a user named.

    Attributes
    ----------
    name : str
        Its name: the vectors are stored in the cache's folder ``embedding-NAME``.
    embedding : Embedding
        Parameters of its embedding.
    files : mapping of str to Path
        Its files and licence, by the names of their copies.
    """

    name: str
    embedding: Embedding
    files: Mapping[str, Path]

    def copy_to(self, folder: Folder) -> None:
        """Copy the files into a folder."""
        for name, path in self.files.items():
            with folder.writing(name) as stream, path.open("rb") as source:
                while block := source.read(_BLOCK):
                    stream.write(block)


def find_encoders(
    names: Sequence[str],
    *,
    weights: str | Path | None = None,
    rate: int | None = None,
    seconds: float | None = None,
) -> list[EncoderFiles]:
    """Find the encoders that a user names, and test each on noise.

    Parameters
    ----------
    names : sequence of str
        ``musicnn``, or ONNX files.
    weights : str or Path, optional
        Folder of MusiCNN's weights, if they are not installed.
    rate, seconds : optional
        Rate in Hz and length of a patch, for ONNX files that do not state them.

    Raises
    ------
    EncoderError
        If an encoder is missing or cannot be used, or two have the same name.
    """
    encoders: list[EncoderFiles] = []
    for value in dict.fromkeys(names):
        if value == MUSICNN:
            encoders.append(_musicnn(weights))
        elif value.lower().endswith(".onnx"):
            check_installed("onnx", option=f"--embedding {value}", modules=("onnx",))
            encoders.append(_onnx(Path(value), rate, seconds))
        else:
            raise EncoderError(f"--embedding {value}: unknown; use {MUSICNN} or a FILE.onnx")
    for name, count in Counter(encoder.name for encoder in encoders).items():
        if count > 1:
            raise EncoderError(f"--embedding: two encoders are called {name!r}; rename one of the files")
    return encoders


def copy_encoder(source: Folder, target: Path) -> None:
    """Copy the files and licence of an encoder from a cache to a local folder.

    Raises
    ------
    EncoderError
        If they are missing.
    """
    names = source.names()
    if not names:
        raise _missing(source.uri, source.path.rpartition("/")[2])
    target.mkdir(parents=True)
    for name in names:
        with source.reading(name) as stream, (target / name).open("wb") as file:
            while block := stream.read(_BLOCK):
                file.write(block)


@contextmanager
def copied_files(encoders: str, name: str, embedding: Embedding) -> Iterator[Path]:
    """Yield a local folder with the files that `EncoderFiles.copy_to` copied.

    Files in a bucket are downloaded once.

    Parameters
    ----------
    encoders : str
        Path or URI of the folder with one folder per encoder.
    name : str
        The encoder's name.
    embedding : Embedding
        Parameters that the files must match.

    Raises
    ------
    EncoderError
        If they are missing.
    """
    if "://" not in encoders:
        # Not as a `Folder`, because an installation that only predicts has no pyarrow.
        path = Path(encoders).expanduser().absolute() / name
        if not path.is_dir() or not any(path.iterdir()):
            raise _missing(str(path), name)
        yield path
        return
    folder = Folder.at(encoders) / name
    names = folder.names()
    if not names:
        raise _missing(folder.uri, name)
    with tempfile.TemporaryDirectory() as temporary:
        for file in names:
            path = scratch_folder() / f"encoder-{embedding.sha256[:32]}-{file}"
            used(path)
            with making(path) as target:
                if target is not None:
                    target.write_bytes(folder.read(file))
            (Path(temporary) / file).symlink_to(path)
        yield Path(temporary)


def open_encoder(folder: Path, name: str, embedding: Embedding, *, runtime: Runtime = "keras") -> Encoder:
    """Open the encoder whose files are in a local folder.

    Parameters
    ----------
    folder : Path
        Folder of the copies.
    name : str
        The encoder's name, for messages.
    embedding : Embedding
        Parameters that the files must match.
    runtime : str
        What evaluates MusiCNN; its ONNX form is part of exports only.

    Raises
    ------
    EncoderError
        If a file is missing, or its content has changed since the cache was made.
    """
    if embedding.encoder == MUSICNN:
        weights = find_weights(folder)
        _require_same(_digest([weights.data, weights.index]), embedding, folder, name)
        if runtime == "onnx" and ((folder / ONNX_FORM).is_file() or find_spec("tensorflow") is None):
            return OnnxMusicnn(folder)
        import_keras()
        return musicnn.Musicnn(weights)
    _require_same(_digest(_copied_onnx_files(folder)), embedding, folder, name)
    return OnnxEncoder(
        folder / _ONNX_FILE, sample_rate=embedding.sample_rate, seconds=embedding.patch_seconds
    )


def _missing(folder: str, name: str) -> EncoderError:
    return EncoderError(
        f"{folder}: the files of encoder {name!r} are missing; copy the folder again, or prepare the"
        " cache in a new folder"
    )


def _musicnn(folder: str | Path | None) -> EncoderFiles:
    weights = find_weights(folder)
    files = weights.named()
    embedding = Embedding(
        encoder="musicnn",
        sha256=_digest([weights.data, weights.index]),
        sample_rate=musicnn.SAMPLE_RATE,
        patch_seconds=musicnn.PATCH_SECONDS,
        layer=musicnn.LAYER,
        pooling=_POOLING,
        dimension=POOLINGS[_POOLING] * musicnn.DIMENSION,
    )
    return EncoderFiles(MUSICNN, embedding, files)


def _onnx(path: Path, rate: int | None, seconds: float | None) -> EncoderFiles:
    name = re.sub(r"[^a-z0-9_.-]+", "-", path.stem.lower()).strip("-.")
    if not name or name in _RESERVED or name == MUSICNN or "+" in name:
        raise EncoderError(f"--embedding {path}: cannot be called {name!r}; rename the file")
    encoder = OnnxEncoder(path, sample_rate=rate, seconds=seconds)
    main, *others = files_of(path)
    licences = [
        file for file in sorted(path.parent.iterdir()) if _LICENCE.match(file.name) and file.is_file()
    ]
    # A single vector has no standard deviation.
    single = encoder.seconds is None and not encoder.has_frames
    pooling: Literal["mean", "mean-std"] = "mean" if single else _POOLING
    embedding = Embedding(
        encoder="onnx",
        sha256=_digest([main, *others]),
        sample_rate=encoder.sample_rate,
        patch_seconds=encoder.seconds,
        pooling=pooling,
        dimension=POOLINGS[pooling] * encoder.dimension,
    )
    files = {_ONNX_FILE: main} | {file.name: file for file in (*others, *licences)}
    return EncoderFiles(name, embedding, files)


def _copied_onnx_files(folder: Path) -> list[Path]:
    """List the copies of an ONNX file and of its tensors, in the order of `files_of`, which needs onnx."""
    path = folder / _ONNX_FILE
    if not path.is_file():
        raise EncoderError(f"{path}: missing; copy the folder again")
    others = [file for file in sorted(folder.iterdir()) if file != path and not _LICENCE.match(file.name)]
    # The file names those of its tensors; other files, such as those of a file manager, are none of its own.
    content = path.read_bytes() if others else b""
    return [path, *(file for file in others if file.name.encode() in content)]


def _digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the concatenated files, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise EncoderError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _require_same(digest: str, embedding: Embedding, folder: Path, name: str) -> None:
    if digest != embedding.sha256:
        raise EncoderError(
            f"{folder}: the files of encoder {name!r} have changed (SHA-256"
            f" {digest[:8]}, expected {embedding.sha256[:8]}); copy them again"
        )
