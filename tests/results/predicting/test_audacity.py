from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import OutputError
from results.model.prediction import Prediction
from results.predicting.audacity import label_track, write_label_track


def test_labels_cover_the_song_without_gaps() -> None:
    segments = [{"a": 0.9, "b": 0.1}, {"a": 0.25, "b": 0.75}]
    prediction = Prediction("song.mp3", {"a": 0.6, "b": 0.4}, [0.0, 29.5], segments)
    assert label_track(prediction, 59.25) == "0.000000\t29.500000\ta 90 %\n29.500000\t59.250000\tb 75 %\n"


def test_a_label_track_is_written_once(tmp_path: Path, song: Path) -> None:
    prediction = Prediction(str(song), {"a": 1.0}, [0.0], [{"a": 1.0}])
    target = write_label_track(prediction, tmp_path / "labels")
    assert target == tmp_path / "labels" / "song.wav.txt"
    assert target.read_text() == "0.000000\t2.000000\ta 100 %\n"
    with pytest.raises(OutputError, match="exists already and is not replaced; name another --audacity"):
        write_label_track(prediction, tmp_path / "labels")
    assert [path.name for path in target.parent.iterdir()] == ["song.wav.txt"]
