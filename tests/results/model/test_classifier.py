from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import results
from data.errors import AudioError
from tests.support.paths import ROOT
from tests.support.rows import make_rows


def test_genres_are_sorted_by_probability(exported: Path, song: Path) -> None:
    prediction = results.load(exported).predict(song)
    probabilities = list(prediction.probabilities.values())
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert prediction.genre == next(iter(prediction.probabilities))
    assert prediction.start_s == [0.0]
    assert len(prediction.segments) == 1


@pytest.mark.slow
def test_a_moved_export_predicts_the_same_in_a_new_process(
    exported: Path, song: Path, tmp_path: Path
) -> None:
    X = make_rows(tracks=2, seed=3).X
    expected = results.load(exported).predict_rows(X)
    moved = shutil.copytree(exported, tmp_path / "else where")
    np.save(tmp_path / "rows.npy", X)
    code = (
        "import sys, json, numpy as np, results\n"
        "classifier = results.load(sys.argv[1])\n"
        "rows = classifier.predict_rows(np.load(sys.argv[2]))\n"
        "song = classifier.predict(sys.argv[3])\n"
        "print(json.dumps([rows.tolist(), song.probabilities]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(moved), str(tmp_path / "rows.npy"), str(song)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows, probabilities = json.loads(result.stdout)
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert probabilities == pytest.approx(results.load(exported).predict(song).probabilities, abs=1e-5)


def test_the_probabilities_of_segments_are_averaged(exported: Path, song: Path, bundle_copy: Path) -> None:
    content = json.loads((bundle_copy / "preprocess.json").read_text())
    content["parameters"]["segment_seconds"] = 1.0
    (bundle_copy / "preprocess.json").write_text(json.dumps(content))
    config = json.loads((bundle_copy / "config.json").read_text())
    (bundle_copy / "config.json").write_text(json.dumps(config | {"temperature": 1.0}))
    prediction = results.load(bundle_copy).predict(song)
    assert prediction.start_s == [0.0, 1.0]
    for genre, probability in prediction.probabilities.items():
        assert probability == pytest.approx(np.mean([segment[genre] for segment in prediction.segments]))


def test_a_file_without_audio_is_reported(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match=r"text\.wav"):
        results.load(exported).predict(tmp_path / "text.wav")
