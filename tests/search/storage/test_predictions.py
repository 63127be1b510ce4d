from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.dataset.epoch_predictions import EpochPredictions
from data.errors import RunError
from search.storage.predictions import (
    PredictionReader,
    Predictions,
    candidates_of,
    common_tracks,
    read_epoch_predictions,
    scores_on_common,
)
from search.storage.run_folder import RunFolder
from tests.support.runs import write_judgement, write_scores

GENRES = ["blues", "disco", "metal"]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of two trials on the same tracks, and one on fewer."""
    folder = write_scores(tmp_path, "mine", [0.5, 0.7, 0.6])
    for number, (right, n) in enumerate(((50, 100), (70, 100), (36, 60))):
        write_judgement(folder, f"t{number}", right, n, epoch=3)
    return folder


def test_predictions_are_those_of_the_run(run: RunFolder) -> None:
    read = PredictionReader().read(run, "t1", GENRES, 3)
    frame = run.predictions("t1", 3)
    assert read.track_id == frame["track_id"].tolist()
    assert [GENRES[number] for number in read.truth] == frame["label"].tolist()
    np.testing.assert_array_equal(read.probabilities, frame[[f"p.{genre}" for genre in GENRES]].to_numpy())
    assert read.predicted.tolist() == [0] * 70 + [1] * 30
    assert sum(read.correct().values()) == 70


def test_equal_lists_of_tracks_are_decoded_once(run: RunFolder) -> None:
    reader = PredictionReader()
    first, second, shorter = (reader.read(run, f"t{number}", GENRES, 3) for number in range(3))
    assert first.track_id is second.track_id
    assert first.truth is second.truth
    assert shorter.track_id == first.track_id[:60]
    tracks, rows = common_tracks([first, shorter])
    assert tracks == shorter.track_id
    assert [row.tolist() for row in rows] == [list(range(60))] * 2
    # The number of a genre depends on the genres of the run.
    other = reader.read(run, "t0", GENRES[::-1], 3)
    assert set(other.truth.tolist()) == {2}


def test_unusable_files_are_named(run: RunFolder) -> None:
    reader = PredictionReader()
    with pytest.raises(RunError, match=r"run 'mine': .*predictions/t9\.parquet is missing"):
        reader.read(run, "t9", GENRES, 3)
    with pytest.raises(RunError, match=r"t1\.parquet: belongs to epoch 3, but the score to epoch 2"):
        reader.read(run, "t1", GENRES, 2)
    with pytest.raises(RunError, match=r"t1\.parquet: has no column 'p\.jazz'"):
        reader.read(run, "t1", [*GENRES, "jazz"], 3)
    with pytest.raises(RunError, match=r"t1\.parquet: 'blues' is not a genre of the run"):
        reader.read(run, "t1", GENRES[1:], 3)
    path = run.folder.local / "predictions" / "t1.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match="not a complete Parquet file"):
        reader.read(run, "t1", GENRES, 3)


def test_predictions_of_all_epochs(run: RunFolder) -> None:
    assert read_epoch_predictions(run, "t0", 100) is None
    epochs = EpochPredictions(100)
    for _ in range(2):
        epochs.add(np.eye(3)[np.arange(100) % 3])
    run.write_epoch_predictions("t0", epochs)
    read = read_epoch_predictions(run, "t0", 100)
    assert read is not None
    assert read.tolist() == [(np.arange(100) % 3).tolist()] * 2
    with pytest.raises(RunError, match=r"t0\.epochs\.parquet: does not hold the tracks of t0\.parquet"):
        read_epoch_predictions(run, "t0", 60)


def test_candidates_are_in_order(run: RunFolder) -> None:
    candidates = candidates_of(run, run.info(), run.trials())
    assert [candidate.name for candidate in candidates] == ["mine:1", "mine:2", "mine:0"]
    assert candidates[0].best_epoch == 3


def test_trials_are_scored_on_the_tracks_that_all_validated() -> None:
    truth, right = np.array([0, 1, 0, 1]), np.eye(2)
    first = Predictions(["a", "b", "c", "d"], truth, right[[0, 1, 1, 1]])
    second = Predictions(["c", "d", "e", "f"], truth, right[[1, 1, 1, 1]])
    scores, n_tracks = scores_on_common([first, second], "accuracy")
    assert (scores, n_tracks) == ([0.5, 0.5], 2)
    other = Predictions(["x"], truth[:1], right[[0]])
    scores, n_tracks = scores_on_common([first, other], "accuracy")
    assert np.isnan(scores).all()
    assert n_tracks == 0
