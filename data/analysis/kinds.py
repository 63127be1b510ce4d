"""Names of the kinds of input that are taken from audio, cached and read by families."""

from __future__ import annotations

Kind = str
"""A kind of input: ``features``, ``melspec``, ``image`` or ``embedding-NAME``, or several joined by ``+``."""

FEATURE_KIND = "features"
EMBEDDING_PREFIX = "embedding-"
EMBEDDED = "embedding"
"""What a family reads that takes features and all embeddings of a cache; see `Cache.kind_of`."""


def kinds_in(kind: Kind) -> list[Kind]:
    """Kinds that are joined in one: ``features+embedding-musicnn`` are two."""
    return kind.split("+")
