from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from data.analysis.features import of_file
from data.cache.cache import Cache
from tests.support.collection import SR, make_collection
from tests.support.preparing import prepared, run


def test_a_track_with_another_label_is_analysed_again(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=2), tmp_path / "cache"
    prepared(audio, cache)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label\ngenre0.00000,jazz\ngenre0.00001,genre0\ngenre1.00000,jazz\ngenre1.00001,genre1\n"
    )
    assert "2 of 4 files analysed" in prepared(audio, cache, "--labels", labels).output
    stored_labels = pq.read_table(cache / "features.parquet", columns=["label"])["label"].to_pylist()
    assert stored_labels == ["jazz", "genre0", "jazz", "genre1"]


def test_regions_hold_the_samples_between_their_times(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=2), tmp_path / "cache"
    first = audio / "genre0" / "genre0.00000.wav"
    y, _ = soundfile.read(first, dtype="float32")
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label,start,end\ngenre0.00000,rock,0.5,1\ngenre0.00000,jazz,1,1.52\ngenre0.00000,jazz,1,9\n"
        "genre0.00000,jazz,3,\ngenre1.00000,jazz,,\ngenre1.00001,rock,0.25,\n"
    )
    result = prepared(audio, cache, "--labels", labels)
    rows = {row["track_id"]: row for row in pq.read_table(cache / "manifest.parquet").to_pylist()}
    name = "genre0/genre0.00000.wav"
    assert rows[f"{name}#t=0.5,1"]["sha256"] == hashlib.sha256(y[SR // 2 : SR].tobytes()).hexdigest()
    assert rows[f"{name}#t=0.5,1"]["duration_s"] == 0.5
    # 20 ms beyond the end are accepted, more are not.
    assert rows[f"{name}#t=1,1.52"]["missing_s"] == pytest.approx(0.02)
    assert rows[f"{name}#t=1,1.52"]["group"] == rows[f"{name}#t=0.5,1"]["group"]
    assert rows["genre1/genre1.00001.wav#t=0.25"]["duration_s"] == pytest.approx(1.25, abs=1e-4)
    for region, text in (("1,9", "from 1 s to 9 s"), ("3", "from 3 s")):
        reason = rows[f"{name}#t={region}"]["reason"]
        assert reason == f"region beyond the end: {text} of 1.50 s; correct start and end in the table"
    assert "skipped 2: region beyond the end, such as" in result.output
    features = Cache.open(cache).features
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, y[SR // 2 : SR], SR, subtype="FLOAT")
    expected = of_file(cut)[0]
    np.testing.assert_allclose(features.X[features.track_id == f"{name}#t=0.5,1"], expected, rtol=1e-3)
    strict = run("--audio", audio, "--cache", cache, "--labels", labels, "--strict")
    assert strict.exit_code == 2
    assert "#t=1,9: region beyond the end" in strict.output.replace("\n", "")
