from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import results
from data.errors import AudioError
from results.model.predictor import Predictor


@pytest.fixture(scope="module")
def model(exported: Path) -> Predictor:
    return results.load(exported)


def test_samples_files_and_lists_are_predicted_like_their_path(model: Predictor, song: Path) -> None:
    expected = model.predict(song)
    y, rate = soundfile.read(song, dtype="float32")
    stereo = np.stack([y, y])
    with song.open("rb") as opened:
        predictions = [
            model.predict(y, rate),
            model.predict(stereo, rate),
            model.predict(stereo.T, rate),
            model.predict(np.rint(y * 32767).astype(np.int16), rate),
            model.predict(opened),
            model.predict(io.BytesIO(song.read_bytes())),
            *model.predict([song, str(song)]),
        ]
    for prediction in predictions:
        assert prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    names = [prediction.path for prediction in predictions]
    assert names == [*4 * ["samples"], "song.wav", "file", str(song), str(song)]
    assert model.predict([]) == []


def test_other_arguments_are_type_errors(model: Predictor, song: Path) -> None:
    with pytest.raises(TypeError, match=r"predict\(samples\) needs their sample rate"):
        model.predict(np.zeros(22050))
    with pytest.raises(TypeError, match="a file states its own"):
        model.predict(song, 22050)
    with pytest.raises(TypeError, match=r"takes a path, a list of paths, samples .* not int"):
        model.predict(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="binary mode"), song.open(encoding="latin-1") as opened:
        model.predict(opened)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"not float64 of \(1, 1, 1\)"):
        model.predict(np.zeros((1, 1, 1)), 22050)


def test_errors_name_the_source_and_no_temporary_file(model: Predictor) -> None:
    with pytest.raises(AudioError, match=r"^samples: too short"):
        model.predict(np.zeros(100), 22050)
    with pytest.raises(AudioError, match=r"^file: not readable as audio"):
        model.predict(io.BytesIO(b"no audio at all"))
