from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.analysis.parameters import Parameters
from data.cache.cache import Cache
from data.collection.scan import find_files
from data.io.folder import Folder
from data.pipeline import parts
from data.pipeline.parts import NewestRows, Parts, SortedRows
from data.pipeline.planner import Preparation
from tests.support.collection import make_collection


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 2)


def written(folder: Folder, name: str, tracks: str, value: int) -> None:
    folder.write_table(name, pa.table({"track_id": list(tracks), "value": [value] * len(tracks)}))


def test_the_newest_row_of_each_track_is_read_in_order(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    written(folder, "manifest.parquet", "abcdefgh", 0)
    for number, tracks in enumerate(("xhb", "b", "ie"), start=1):
        written(folder / "parts", f"{number:08d}-0.parquet", tracks, number)
    rows = NewestRows(list("abdehi"), folder, Parts(folder / "parts"), with_old=True)
    tables = list(rows.chunks(["track_id", "value"]))
    assert [len(table) for table in tables] == [2, 2, 2]
    whole = pa.concat_tables(tables)
    assert "".join(whole["track_id"].to_pylist()) == "abdehi"
    assert whole["value"].to_pylist() == [0, 2, 0, 3, 1, 3]


@pytest.mark.parametrize("last_tracks", [["c", "e", "z"], ["a", "b", "c", "d", "e"], ["z"], ["0", "c", "z"]])
def test_sorted_rows_continue_after_the_previous_call(tmp_path: Path, last_tracks: list[str]) -> None:
    folder = Folder.at(tmp_path)
    tracks = "aabccccce"
    written(folder, "t.parquet", tracks, 0)
    rows = SortedRows(folder.parquet("t.parquet"))
    tracks_per_call = ["".join(rows.up_to(last)["track_id"].to_pylist()) for last in last_tracks]
    bounds = ["", *last_tracks]
    expected = [
        "".join(track for track in tracks if low < track <= high)
        for low, high in zip(bounds, last_tracks, strict=False)
    ]
    assert tracks_per_call == expected


def test_a_cache_does_not_depend_on_the_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = make_collection(tmp_path / "audio", tracks=5, seconds=0.4)

    def prepared(to: str) -> Cache:
        plan = Preparation.plan(str(tmp_path / to), find_files(audio), Parameters())
        assert list(plan.run(workers=1, address=None, strict=True))
        plan.finish({"genre0/genre0.00001.wav": "Ella", "genre1/genre1.00001.wav": "Ella"})
        return Cache.open(tmp_path / to)

    prepared("cache")
    moved = audio / "genre1" / "genre1.00002.wav"
    moved.rename(audio / "genre0" / "a.wav")
    updated = prepared("cache")
    monkeypatch.setattr(parts, "CHUNK", 4096)
    expected = prepared("whole")
    assert updated.info.fingerprint == expected.info.fingerprint
    assert updated.features.track_id.tolist() == expected.features.track_id.tolist()
    assert updated.features.group.tolist() == expected.features.group.tolist()
    np.testing.assert_allclose(updated.features.X, expected.features.X, rtol=1e-3)
