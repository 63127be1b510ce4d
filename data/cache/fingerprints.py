"""Fingerprints of a collection and of each kind of input in a cache.

Leaderboards and splits depend only on the collection: its tracks with their content, labels and groups. A run
also depends on its input: how that was extracted from the collection. Adding another kind of input to a cache
changes neither fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from data.analysis.kinds import EMBEDDING_PREFIX, SPECTROGRAM_KINDS
from data.analysis.parameters import Parameters

COLUMNS = ("track_id", "label", "group", "sha256", "status")
"""Columns of the manifest that determine the fingerprint of a collection."""
USABLE = "ok"
"""Status of the rows of a manifest that are part of the collection."""
_INPUT_PARAMETERS = (*SPECTROGRAM_KINDS, "embeddings")
"""Parameters that affect only one kind of input."""


def fingerprint(content: Any) -> str:
    """SHA-256 hex digest of JSON-like content, independent of the order of keys."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def collection_fingerprint(manifest: Iterable[pa.Table]) -> str:
    """Fingerprint of a collection: tracks, content, labels and groups of the usable files.

    Parameters
    ----------
    manifest : iterable of Table
        The manifest in pieces, sorted by track. The paths of the files do not matter.
    """
    digest = hashlib.sha256()
    for table in manifest:
        for row in zip(*(table[column].to_pylist() for column in COLUMNS), strict=True):
            if row[4] == USABLE:
                digest.update("\x1f".join(row[:4]).encode() + b"\x1e")
    return digest.hexdigest()


def preparation_fingerprint(parameters: Mapping[str, Any], collection: str) -> str:
    """Fingerprint of a whole cache: all parameters and the collection.

    It shows whether the files of a cache were written together. Runs of version 0.1 stored it as the only
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
        `Parameters` as JSON-like content. Parameters with their default value are not hashed, so that a new
        parameter does not change existing fingerprints.
    collection : str
        See `collection_fingerprint`.
    """
    return fingerprint({"kind": kind, "parameters": _of_kind(kind, parameters), "tracks": collection})


def same_input(kind: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two sets of parameters produce the same input of a kind."""
    return _of_kind(kind, first) == _of_kind(kind, second)


def _of_kind(kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that affect a kind of input and differ from their defaults."""
    # Tests and older versions wrote incomplete parameters.
    content = Parameters.model_validate(parameters).model_dump(exclude_defaults=True)
    common = {name: value for name, value in content.items() if name not in _INPUT_PARAMETERS}
    if kind.startswith(EMBEDDING_PREFIX):
        name = kind.removeprefix(EMBEDDING_PREFIX)
        return common | {"embedding": content.get("embeddings", {}).get(name)}
    return common | ({kind: content[kind]} if kind in content else {})
