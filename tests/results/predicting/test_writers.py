from __future__ import annotations

import csv
import json
from collections import Counter

from rich.cells import cell_len

from results.model.prediction import Prediction
from results.predicting.writers import CsvWriter, JsonWriter, TableWriter, summarise

GENRES = ["jazz", "ロック", "pop"]
SONG = Prediction(
    path='a, "b".mp3',
    probabilities={"ロック": 0.6, "jazz": 0.3, "pop": 0.1},
    start_s=[0.0, 30.0],
    segments=[{"jazz": 0.2, "ロック": 0.7, "pop": 0.1}, {"jazz": 0.5, "ロック": 0.4, "pop": 0.1}],
)
OTHER = Prediction(
    "c.mp3", {"jazz": 0.9, "ロック": 0.1, "pop": 0.0}, [0.0], [{"jazz": 0.9, "ロック": 0.1, "pop": 0}]
)


def test_a_table_has_one_aligned_line_per_song() -> None:
    writer = TableWriter(GENRES, top=1, min_confidence=0)
    first, second = writer.line(SONG), writer.line(OTHER)
    assert first == 'ロック   60.0 %  a, "b".mp3'
    assert cell_len(first.partition(" %")[0]) == cell_len(second.partition(" %")[0])
    assert writer.head() is None


def test_a_table_shows_further_genres_and_the_timeline() -> None:
    writer = TableWriter(GENRES, top=2, min_confidence=0, with_timeline=True)
    assert writer.line(SONG).splitlines() == [
        'ロック   60.0 %  a, "b".mp3 (jazz 30.0 %)',
        "  0:00 ロック, 0:30 jazz",
    ]


def test_an_unsure_answer_names_its_guess() -> None:
    writer = TableWriter(GENRES, top=1, min_confidence=0.61)
    assert writer.answer(SONG) == "unsure"
    assert writer.line(SONG) == 'unsure   60.0 %  a, "b".mp3 (ロック 60.0 %)'


def test_json_holds_the_likeliest_genres_and_all_segments() -> None:
    content = json.loads(JsonWriter(GENRES, top=2, min_confidence=0).line(SONG))
    assert content["genre"] == "ロック"
    assert content["probabilities"] == {"ロック": 0.6, "jazz": 0.3}
    assert [segment["start_s"] for segment in content["segments"]] == [0, 30]


def test_csv_is_read_back() -> None:
    writer = CsvWriter(GENRES, top=2, min_confidence=0.7)
    (row,) = csv.DictReader([writer.head(), writer.line(SONG)])
    assert row == {
        "file": 'a, "b".mp3',
        "genre": "unsure",
        "confidence": "0.6000",
        "genre_1": "ロック",
        "probability_1": "0.6000",
        "genre_2": "jazz",
        "probability_2": "0.3000",
    }


def test_the_summary_counts_by_genre() -> None:
    assert summarise(Counter({"pop": 1, "jazz": 3}), 2) == "4 songs: 3 jazz, 1 pop; 2 skipped"
    assert summarise(Counter({"pop": 2}), 0) == "2 songs: 2 pop"
