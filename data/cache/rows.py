"""Rows of a cache's inputs: what of a segment or window there is, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from data.cache.memory_map import MappedTensors

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["features", "melspec", "image"]
"""What a cache can hold of a segment or window."""

KEYS = ("track_id", "segment", "label", "group")
"""Key columns that every table of a cache begins with."""

Array = np.ndarray | MappedTensors
"""An array, or tensors in mapped files, which are indexed as one is."""


class Origin(NamedTuple):
    """Where tensors lie.

    Attributes
    ----------
    cache : str
        Absolute path or URI of the cache.
    kind : str
        ``"melspec"`` or ``"image"``.
    fingerprint : str
        The cache's.
    """

    cache: str
    kind: Kind
    fingerprint: str


@dataclass(frozen=True)
class Rows:
    """Rows of one kind of input, one a segment.

    Attributes
    ----------
    X : ndarray or MappedTensors, shape (n, ...)
        The input: float64 features, or tensors in the type that they are cached in. Read-only.
    track_id, label, group : ndarray of object, shape (n,)
        The track that each row comes from, its genre and its group, as `str`.
    segment : ndarray of int32, shape (n,)
        Number of the segment in its track, from 0.
    origin : Origin or None
        Where other processes find `X` again; None where it is small enough to be sent to them.
    """

    X: Array
    track_id: np.ndarray
    segment: np.ndarray
    label: np.ndarray
    group: np.ndarray
    origin: Origin | None = None

    @classmethod
    def of(cls, X: Array, table: pa.Table) -> Rows:
        """Put inputs, shape (n, ...), together with the key columns of an Arrow table of n rows."""
        return cls(
            X=X,
            track_id=np.array(table["track_id"].to_pylist(), dtype=object),
            segment=table["segment"].to_numpy().astype(np.int32),
            label=np.array(table["label"].to_pylist(), dtype=object),
            group=np.array(table["group"].to_pylist(), dtype=object),
        )

    def tracks(self) -> pd.DataFrame:
        """One row a track, sorted by ``track_id``: ``track_id``, ``label``, ``group``, each as object."""
        import pandas as pd

        frame = pd.DataFrame(
            {"track_id": self.track_id, "label": self.label, "group": self.group}, dtype=object
        )
        return frame.drop_duplicates("track_id").sort_values("track_id").reset_index(drop=True)
