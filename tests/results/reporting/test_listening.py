from __future__ import annotations

from pathlib import Path

import pytest

from results.reporting.listening import Listening
from search.storage.run_info import RunInfo
from tests.support.audible import audible_run
from tests.support.runs import make_info

TRACKS = [f"genre0/genre0.{number:05d}.wav" for number in range(3)]


@pytest.fixture
def info(tmp_path: Path) -> RunInfo:
    return audible_run(tmp_path).info()


def test_clips_end_at_the_size_limit(info: RunInfo) -> None:
    clips, note = Listening(max_bytes=1).clips(info, TRACKS)
    assert list(clips) == TRACKS[:1]
    assert note == "Only the first 1 of 3 tracks can be heard."
    clips, note = Listening().clips(info, [*TRACKS, TRACKS[0]])
    assert (list(clips), note) == (TRACKS, "")


def test_missing_files_are_one_note(info: RunInfo, tmp_path: Path) -> None:
    for track in TRACKS[:2]:
        (tmp_path / "audio" / track).unlink()
    clips, note = Listening().clips(info, TRACKS)
    assert list(clips) == TRACKS[2:]
    assert note.startswith("2 of 3 tracks cannot be heard, for example: ")
    assert "No such file" in note


def test_data_without_audio_and_a_missing_cache_are_explained(info: RunInfo, tmp_path: Path) -> None:
    table = make_info("a", cache=info.cache.model_copy(update={"source": "features-csv"}))
    assert (
        Listening().clips(table, TRACKS)[1].startswith("Nothing to listen to: the data is a published table")
    )
    (tmp_path / "cache" / "cache.json").unlink()
    assert "the cache of this search cannot be read" in Listening().clips(info, TRACKS)[1]
    moved = make_info("a", cache=info.cache.model_copy(update={"uri": str(tmp_path / "nowhere")}))
    assert "no cache here" in Listening().clips(moved, TRACKS)[1]


def test_a_changed_cache_is_not_played(info: RunInfo) -> None:
    other = make_info("a", cache=info.cache.model_copy(update={"fingerprint": "1" * 64}))
    assert "holds other data now" in Listening().clips(other, TRACKS)[1]
