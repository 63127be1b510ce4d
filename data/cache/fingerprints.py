"""Fingerprints: one for a collection, one per kind of input that a cache holds of it.

Boards and splits depend on the collection alone: its tracks with their content, labels and groups. A run
also depends on the inputs that it read: how they were made from the collection. Adding another kind of input
to a cache changes neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from data.analysis.kinds import EMBEDDING_PREFIX, SPECTROGRAM_KINDS

COLUMNS = ("track_id", "label", "group", "sha256", "status")
"""Columns of the manifest that the fingerprint of a collection is made of."""
USABLE = "ok"
"""Status of the manifest's rows that count."""
_INPUT_PARAMETERS = (*SPECTROGRAM_KINDS, "embeddings")
"""Parameters that concern one kind of input."""


def fingerprint(content: Any) -> str:
    """SHA-256 hex digest of JSON-like content, independent of the order of keys."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def collection_fingerprint(manifest: Iterable[pa.Table]) -> str:
    """Fingerprint of a collection: tracks, content, labels and groups of the usable files.

    Parameters
    ----------
    manifest : iterable of Table
        The manifest in pieces, sorted by track. It does not matter where the files are.
    """
    digest = hashlib.sha256()
    for table in manifest:
        for row in zip(*(table[column].to_pylist() for column in COLUMNS), strict=True):
            if row[4] == USABLE:
                digest.update("\x1f".join(row[:4]).encode() + b"\x1e")
    return digest.hexdigest()


def preparation_fingerprint(parameters: Mapping[str, Any], collection: str) -> str:
    """Fingerprint of a whole cache: all parameters and the collection.

    It tells whether the files of a cache were written together. Runs of version 0.1 recorded it as the only
    fingerprint of their data.
    """
    return fingerprint({"parameters": parameters, "tracks": collection})


def input_fingerprint(kind: str, parameters: Mapping[str, Any], collection: str) -> str:
    """Fingerprint of one kind of input of a cache.

    Parameters
    ----------
    kind : str
        ``features``, ``melspec``, ``image``, or ``embedding-NAME``.
    parameters : mapping
        `Parameters` as JSON-like content; a parameter at its default is not hashed, so that one that a later
        version adds changes nothing.
    collection : str
        See `collection_fingerprint`.
    """
    return fingerprint({"kind": kind, "parameters": _of_kind(kind, parameters), "tracks": collection})


def same_input(kind: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two sets of parameters make the same input of a kind."""
    return _of_kind(kind, first) == _of_kind(kind, second)


def _of_kind(kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that an input of a kind depends on and that differ from their defaults."""
    from data.analysis.parameters import Parameters

    # Tests and older versions wrote parameters that are not whole.
    content = Parameters.model_validate(parameters).model_dump(exclude_defaults=True)
    common = {name: value for name, value in content.items() if name not in _INPUT_PARAMETERS}
    if kind.startswith(EMBEDDING_PREFIX):
        name = kind.removeprefix(EMBEDDING_PREFIX)
        return common | {"embedding": content.get("embeddings", {}).get(name)}
    return common | ({kind: content[kind]} if kind in content else {})
