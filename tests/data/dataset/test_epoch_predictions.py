from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.dataset import epoch_predictions
from data.dataset.epoch_predictions import EpochPredictions, read_epochs
from data.errors import RunError
from data.io.folder import Folder


def collected(n_epochs: int, n_tracks: int = 7) -> tuple[EpochPredictions, np.ndarray]:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), size=(n_epochs, n_tracks))
    predictions = EpochPredictions(n_tracks)
    for epoch in probabilities:
        predictions.add(epoch)
    return predictions, probabilities.argmax(axis=2)


def test_stored_epochs_are_read_and_extended(tmp_path: Path) -> None:
    predictions, predicted = collected(6)
    folder = Folder.at(tmp_path)
    folder.write_table("t.epochs.parquet", predictions.table())
    stored = folder.read_table("t.epochs.parquet")
    assert read_epochs(stored).dtype == np.uint8
    assert np.array_equal(read_epochs(stored), predicted)
    resumed = EpochPredictions.of(stored)
    resumed.add(np.eye(7, 5))
    assert resumed.array().shape == (7, 7)
    assert np.array_equal(resumed.array()[:6], predicted)


def test_predictions_beyond_the_maximum_size_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_predictions, "MAX_BYTES", 21)
    fits, _ = collected(3)
    assert not fits.dropped
    fits.add(np.eye(7, 5))
    assert fits.dropped
    assert fits.array().shape == (0, 7)
    fits.add(np.eye(7, 5))
    assert fits.epochs == []


def test_too_many_genres_for_a_byte() -> None:
    predictions = EpochPredictions(3)
    predictions.add(np.full((3, 257), 1 / 257))
    assert predictions.dropped


def test_another_format_is_refused() -> None:
    with pytest.raises(RunError, match="this program reads"):
        read_epochs(pa.table({"predicted": [1, 2]}))
