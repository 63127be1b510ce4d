"""Predicted genre of each validated track after each epoch of a trial, one byte each.

The best epoch of a trial is selected by its score, like the best trial of a search. To correct for this
selection, the predictions of all epochs are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 8 * 2**20
"""Maximum size per trial (epochs times tracks) of the stored predictions of all epochs.

For larger trials, only the selection of the trial is corrected, not that of the epoch.
"""
MAX_CLASSES = 256
SUFFIX = ".epochs.parquet"
"""Suffix of the file name, after the name of the trial."""
_VERSION, _FORMAT = b"genre_search.epoch_predictions", b"1"


@dataclass
class EpochPredictions:
    """Predicted genres by epoch, collected during the training of a trial.

    Attributes
    ----------
    n_tracks : int
        Number of validated tracks, in the order of `data.dataset.task.Task.validated`.
    epochs : list of ndarray of uint8, each of shape (n_tracks,)
        Predicted genre numbers after each epoch, from the first; empty if `dropped`.
    dropped : bool
        Whether the predictions exceeded `MAX_BYTES`, or there are too many genres for a byte.
    """

    n_tracks: int
    epochs: list[np.ndarray] = field(default_factory=list)
    dropped: bool = False

    def add(self, probabilities: np.ndarray) -> None:
        """Add the next epoch; `probabilities` has shape (n_tracks, n_classes)."""
        too_large = (len(self.epochs) + 1) * self.n_tracks > MAX_BYTES
        if too_large or probabilities.shape[1] > MAX_CLASSES:
            self.dropped = True
            self.epochs.clear()
        if not self.dropped:
            self.epochs.append(probabilities.argmax(axis=1).astype(np.uint8))

    def array(self) -> np.ndarray:
        """Return the predictions, uint8, shape (n_epochs, n_tracks)."""
        return np.array(self.epochs, dtype=np.uint8).reshape(len(self.epochs), self.n_tracks)

    def table(self) -> pa.Table:
        """Return the predictions as an Arrow table with one row per epoch; see `read_epochs`."""
        import pyarrow as pa

        values = pa.array(self.array().ravel(), type=pa.uint8())
        predicted = pa.FixedSizeListArray.from_arrays(values, self.n_tracks)
        return pa.table({"predicted": predicted}).replace_schema_metadata({_VERSION: _FORMAT})

    @classmethod
    def of(cls, table: pa.Table) -> EpochPredictions:
        """Create the predictions of a resumed trial, to which further epochs are added."""
        stored = read_epochs(table)
        return cls(stored.shape[1], list(stored))


def read_epochs(table: pa.Table) -> np.ndarray:
    """Read a table of `EpochPredictions.table`.

    Returns
    -------
    ndarray of uint8, shape (n_epochs, n_tracks)

    Raises
    ------
    RunError
        If the table has another format.
    """
    import pyarrow as pa

    version = (table.schema.metadata or {}).get(_VERSION)
    if version != _FORMAT or not pa.types.is_fixed_size_list(table.schema.field("predicted").type):
        raise RunError(f"predictions of epochs: version {version!r}, but this program reads {_FORMAT!r}")
    column = table["predicted"].combine_chunks()
    # `to_numpy` would import pandas.
    flat = np.from_dlpack(column.flatten())
    return np.array(flat, dtype=np.uint8).reshape(len(column), column.type.list_size)
