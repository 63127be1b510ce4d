from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests.support.collection import make_collection
from tests.support.preparing import prepared


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
