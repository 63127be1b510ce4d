"""Format of a cache: its versions, the content of ``cache.json``, and the check that its tables agree.

A cache folder holds ``cache.json`` (`CacheInfo`), ``manifest.parquet`` (one row per file),
``features.parquet`` (one row per segment) and, if requested, ``melspec/*.parquet``, ``image/*.parquet`` and
``embedding-NAME/*.parquet``, with the files of each encoder under ``encoders/NAME``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from data.errors import CacheError
from data.io.command_names import command_name
from data.io.folder import Folder

if TYPE_CHECKING:
    import pyarrow.parquet as pq

FORMAT = 3
"""Version of the cache's layout that is written."""
READABLE_FORMATS = (1, 2, FORMAT)
"""Versions that are read: the first had no fingerprint of the collection, the second no given partition."""
FINGERPRINT = b"genre_search.fingerprint"
"""Key of a table's metadata under which stands the fingerprint of the cache that it was written for."""


class CacheInfo(BaseModel):
    """Content of ``cache.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    source : str
        Source of the rows: ``"audio"``, ``"images"``, ``"demo"`` or ``"features-csv"``.
    synthetic : bool
        Whether the audio was synthesised; every result from it is marked as such.
    parameters : dict
        How features and tensors were extracted from the audio: sample rate in Hz, lengths in samples, segment
        length in seconds.
    fingerprint : str
        Hex digest of all parameters and the collection, which the tables repeat: an interrupted write is
        detected by it.
    collection : str, optional
        Hex digest of tracks, content, labels and groups; see `data.cache.fingerprints`. A cache of version 1
        has none; `Cache.collection` computes it.
    decoding : int
        Version of the choice of audio decoders; 1, libsndfile for all formats, if the cache does not say.
    versions : dict
        Versions of the libraries that made it.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    source: Literal["audio", "images", "demo", "features-csv"]
    synthetic: bool = False
    parameters: dict[str, Any]
    fingerprint: str
    collection: str | None = None
    decoding: int = 1
    versions: dict[str, str]


def how_to_make(folder: Folder, source: str, kind: str = "") -> str:
    """Explain how to add what a cache lacks: features, or tensors of a kind.

    Parameters
    ----------
    folder : Folder
        The cache.
    source : str
        What it was made of; only what was made of audio can be added to, and embeddings to the demo.
    kind : str
        ``melspec``, ``image``, ``embedding musicnn``, or nothing for features.
    """
    if source == "demo" and kind.startswith("embedding "):
        return f"make them with '{command_name('data.demo')} --cache {shlex.quote(folder.uri)} --{kind}'"
    made = source == "audio"
    option = f" --{kind}" if kind else ""
    where = shlex.quote(folder.uri) if made else "DIR"
    new = "" if made else f", a new cache: this one was made of {source}"
    return f"make them with '{command_name('data.prepare')} --audio DIR --cache {where}{option}'{new}"


def require_current(table: pq.ParquetFile, fingerprint: str, folder: Folder) -> None:
    """Refuse a table that does not belong to ``cache.json``: preparation was killed between the two.

    Parameters
    ----------
    table : ParquetFile
        The table; one of an older version is accepted.
    fingerprint : str
        That of ``cache.json``.
    folder : Folder
        The cache.

    Raises
    ------
    CacheError
        If the two differ.
    """
    if _written_for(table) not in (None, fingerprint.encode()):
        raise interrupted(folder)


def of_one_preparation(folder: Folder, source: str) -> bool:
    """Whether the tables of a cache belong together; they do not if preparation was killed in between.

    Parameters
    ----------
    folder : Folder
        The cache.
    source : str
        Source of its rows; a cache of images has no features.
    """
    names = ["manifest.parquet"] if source == "images" else ["manifest.parquet", "features.parquet"]
    if not all(folder.exists(name) for name in names):
        return False
    return len({_written_for(folder.parquet(name)) for name in names}) == 1


def _written_for(table: pq.ParquetFile) -> bytes | None:
    """Fingerprint of the cache that a table was written for; None if it is of an older version."""
    fingerprint: bytes | None = (table.metadata.metadata or {}).get(FINGERPRINT)
    return fingerprint


def interrupted(folder: Folder) -> CacheError:
    """Error for a cache whose preparation was interrupted."""
    return CacheError(
        f"{folder.uri}: preparing this cache was interrupted; run the same"
        f" '{command_name('data.prepare')}' again, finished work is kept"
    )
