"""Names of the kinds of input: extracted from audio, cached, and read by families."""

from __future__ import annotations

Kind = str
"""A kind of input: ``features``, ``melspec``, ``image`` or ``embedding-NAME``, or several joined by ``+``."""

FEATURE_KIND = "features"
SPECTROGRAM_KINDS = ("melspec", "image")
"""Kinds of tensors that are made from spectrograms; their parameters have the same names."""
EMBEDDING_PREFIX = "embedding-"
EMBEDDED = "embedding"
"""The input of a family that reads features and all embeddings of a cache; see `Cache.kind_of`."""


def kinds_in(kind: Kind) -> list[Kind]:
    """Split a joined kind: ``features+embedding-musicnn`` contains two."""
    return kind.split("+")
