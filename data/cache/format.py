"""Format of a cache: its versions, the content of ``cache.json``, and the check that its tables agree.

A cache folder contains ``cache.json`` (`CacheInfo`), ``manifest.parquet`` (one row per file),
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
"""Version of the layout that is written."""
READABLE_FORMATS = (1, 2, FORMAT)
"""Versions that are read: the first had no fingerprint of the collection, the second no given partition."""
FINGERPRINT = b"genre_search.fingerprint"
"""Key in the metadata of a table with the fingerprint of its cache."""


class CacheInfo(BaseModel):
    """Content of ``cache.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    source : str
        Source of the rows: ``"audio"``, ``"images"``, ``"demo"`` or ``"features-csv"``.
    synthetic : bool
        Whether the audio was synthesised; all results of such a cache are marked.
    parameters : dict
        How features and tensors were extracted from the audio: sample rate in Hz, lengths in samples, segment
        length in seconds.
    fingerprint : str
        Hex digest of all parameters and the collection. The tables store it too, so that an interrupted write
        is detected.
    collection : str, optional
        Hex digest of tracks, content, labels and groups; see `data.cache.fingerprints`. Caches of version 1
        lack it; `Cache.collection` computes it.
    decoding : int
        Version of the choice of audio decoders; the default 1 means libsndfile for all formats.
    versions : dict
        Versions of the libraries that made the cache.
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


_MATERIALS = {"features-csv": "a table of features", "demo": "the demo music"}
"""What a cache was made from, by its source; other sources are named as they are."""


def how_to_make(folder: Folder, source: str, kind: str = "") -> str:
    """Explain how to add features or a kind of tensor to a cache.

    Parameters
    ----------
    folder : Folder
        The cache.
    source : str
        Source of the cache. Inputs can be added to caches of audio; embeddings also to the demo data set.
    kind : str
        ``melspec``, ``image`` or ``embedding musicnn``; empty for features.
    """
    if source == "demo" and kind.startswith("embedding "):
        return f"make them with '{command_name('data.demo')} --cache {shlex.quote(folder.uri)} --{kind}'"
    is_extensible = source == "audio"
    option = f" --{kind}" if kind else ""
    where = shlex.quote(folder.uri) if is_extensible else "DIR"
    material = _MATERIALS.get(source, source)
    note = "" if is_extensible else f" in a new folder; this cache was made from {material}"
    return f"make them with '{command_name('data.prepare')} --audio DIR --cache {where}{option}'{note}"


def require_current(table: pq.ParquetFile, fingerprint: str, folder: Folder) -> None:
    """Refuse a table that does not belong to ``cache.json``, because preparation was killed in between.

    Parameters
    ----------
    table : ParquetFile
        The table; older versions without a fingerprint are accepted.
    fingerprint : str
        Fingerprint in ``cache.json``.
    folder : Folder
        The cache.

    Raises
    ------
    CacheError
        If the fingerprints differ.
    """
    if _stored_fingerprint(table) not in (None, fingerprint.encode()):
        raise interrupted(folder)


def tables_agree(folder: Folder, source: str) -> bool:
    """Whether the tables of a cache belong together; not if preparation was killed in between.

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
    return len({_stored_fingerprint(folder.parquet(name)) for name in names}) == 1


def _stored_fingerprint(table: pq.ParquetFile) -> bytes | None:
    """Fingerprint in the metadata of a table; None in older versions."""
    fingerprint: bytes | None = (table.metadata.metadata or {}).get(FINGERPRINT)
    return fingerprint


def interrupted(folder: Folder) -> CacheError:
    """Return the error for a cache whose preparation was interrupted."""
    return CacheError(
        f"{folder.uri}: preparing this cache was interrupted; run the same"
        f" '{command_name('data.prepare')}' again, finished work is kept"
    )
