"""Input arrays with their track, segment, label and group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from data.analysis.kinds import Kind
from data.cache.memory_map import MappedTensors
from data.errors import CacheError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("track_id", "segment", "label", "group")
"""First columns of every table of a cache."""

Array = np.ndarray | MappedTensors
"""An array, or tensors in mapped files, which are indexed like an array."""


class Origin(NamedTuple):
    """Location of tensors that other processes can open.

    Attributes
    ----------
    cache : str
        Absolute path or URI of the cache.
    kind : str
        ``"melspec"`` or ``"image"``.
    fingerprint : str
        Fingerprint of the input; see `Cache.input_fingerprint`.
    """

    cache: str
    kind: Kind
    fingerprint: str


@dataclass(frozen=True)
class Rows:
    """Rows of one kind of input, one per segment.

    Attributes
    ----------
    X : ndarray or MappedTensors, shape (n, ...)
        Read-only input: float64 features, or tensors in the dtype of the cache.
    track_id, label, group : ndarray of object, shape (n,)
        Track, genre and group of each row, as `str`.
    segment : ndarray of int32, shape (n,)
        Number of the segment in its track, from 0.
    blocks : tuple of (str, int)
        Kinds that are joined in `X`, with their numbers of columns; empty for tensors.
    origin : Origin or None
        Location of `X` for other processes; None if `X` is small enough to be sent to them.
    """

    X: Array
    track_id: np.ndarray
    segment: np.ndarray
    label: np.ndarray
    group: np.ndarray
    blocks: tuple[tuple[Kind, int], ...] = ()
    origin: Origin | None = None

    @classmethod
    def of(cls, X: Array, table: pa.Table) -> Rows:
        """Combine inputs, shape (n, ...), with the key columns of an Arrow table of n rows."""
        return cls(
            X=X,
            track_id=np.array(table["track_id"].to_pylist(), dtype=object),
            segment=table["segment"].to_numpy().astype(np.int32),
            label=np.array(table["label"].to_pylist(), dtype=object),
            group=np.array(table["group"].to_pylist(), dtype=object),
        )

    def tracks(self) -> pd.DataFrame:
        """Table of tracks, sorted by ``track_id``: object columns ``track_id``, ``label`` and ``group``."""
        import pandas as pd

        frame = pd.DataFrame(
            {"track_id": self.track_id, "label": self.label, "group": self.group}, dtype=object
        )
        return frame.drop_duplicates("track_id").sort_values("track_id").reset_index(drop=True)


def joined(parts: Sequence[Rows], uri: str) -> Rows:
    """Join the columns of several kinds of input as float32.

    Parameters
    ----------
    parts : sequence of Rows
        Rows of the same segments in the same order, each with two-dimensional inputs.
    uri : str
        The cache, for messages.

    Raises
    ------
    CacheError
        If the parts have different segments.
    """
    first = parts[0]
    for other in parts[1:]:
        same_tracks = len(other.X) == len(first.X) and (other.track_id == first.track_id).all()
        if not same_tracks or (other.segment != first.segment).any():
            raise CacheError(f"{uri}: its inputs have different segments; prepare the cache again")
    X = np.concatenate([np.asarray(part.X, dtype=np.float32) for part in parts], axis=1)
    X.flags.writeable = False
    return replace(first, X=X, blocks=tuple(block for part in parts for block in part.blocks), origin=None)
