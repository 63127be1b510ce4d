from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.errors import RunError
from search.storage.search_record import RECORD, SearchRecord, is_search, read_record, run_of, write_record

NOW = "2026-01-01T00:00:00+00:00"


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = SearchRecord(
        name="night",
        families=["features_mlp", "melspec_cnn"],
        status="running",
        trials=None,
        time_budget=60.0,
        created=NOW,
    )
    write_record(tmp_path, record)
    assert read_record(tmp_path, "night") == record
    assert is_search(tmp_path, "night")
    assert run_of(tmp_path, "night", "features_mlp").name == "night-features_mlp"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 7}, r"search\.json: format 7, but this version reads format 1; a newer version"),
        ({"families": "all"}, r"search\.json: families: input should be a valid list; use the version"),
    ],
)
def test_another_format_and_an_invalid_field_are_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    record = SearchRecord(
        name="night", families=["a"], status="finished", trials=4, time_budget=None, created=NOW
    )
    write_record(tmp_path, record)
    path = tmp_path / "night" / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match="(?i)" + message):
        read_record(tmp_path, "night")


def test_a_missing_record_is_reported(tmp_path: Path) -> None:
    assert not is_search(tmp_path, "night")
    with pytest.raises(RunError, match=r"no search 'night' \(.*search\.json is missing\)"):
        read_record(tmp_path, "night")
