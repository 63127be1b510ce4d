import csv

import numpy as np
import pytest

from data.analysis.feature_names import FEATURES
from data.analysis.parameters import Parameters
from data.cache.cache import Cache
from data.collection import gtzan_table as gtzan
from data.collection.quality import inspect
from data.dataset.splits import make_split
from data.errors import CacheError

HEADER = ["filename", "length", *FEATURES, "label"]


def row(name, label, seed, length="661794"):
    values = np.random.default_rng(seed).normal(size=len(FEATURES))
    return [name, length, *(str(value) for value in values), label]


ROWS = [
    row("rock.00000.wav", "rock", 3),
    row("blues.00000.au", "blues", 0),
    row("blues.00001.au", "blues", 1),
    row("rock.00001.wav", "rock", 3),
]


def write(path, rows=ROWS, header=HEADER):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def changed(column, value, line=3):
    """The rows with one cell changed, by its line in the file."""
    rows = [list(each) for each in ROWS]
    rows[line - 2][HEADER.index(column)] = value
    return rows


def test_a_cache_holds_the_published_numbers(tmp_path):
    gtzan.prepare(write(tmp_path / "table.csv"), str(tmp_path / "cache"))

    cache = Cache.open(tmp_path / "cache")
    rows = cache.features
    assert list(rows.track_id) == [
        "blues/blues.00000.au",
        "blues/blues.00001.au",
        "rock/rock.00000.wav",
        "rock/rock.00001.wav",
    ]
    assert list(rows.label) == ["blues", "blues", "rock", "rock"]
    assert (rows.segment == 0).all()
    np.testing.assert_array_equal(rows.X[1], [float(value) for value in ROWS[2][2:-1]])
    manifest = cache.folder.read_table("manifest.parquet").to_pandas()
    assert list(manifest["path"]) == ["blues.00000.au", "blues.00001.au", "rock.00000.wav", "rock.00001.wav"]
    assert set(manifest["status"]) == {"ok"}
    assert manifest["duration_s"].to_numpy() == pytest.approx(661794 / 22050)


def test_the_cache_can_be_exported_from_like_one_of_30_second_segments(tmp_path):
    gtzan.prepare(write(tmp_path / "table.csv"), str(tmp_path / "cache"))

    info = Cache.open(tmp_path / "cache").info
    assert info.source == "features-csv"
    assert not info.synthetic
    assert Parameters.model_validate(info.parameters) == Parameters(segment_seconds=30.0)


def test_tracks_with_equal_features_share_a_group(tmp_path):
    gtzan.prepare(write(tmp_path / "table.csv"), str(tmp_path / "cache"))

    rows = Cache.open(tmp_path / "cache").features
    group = dict(zip(rows.track_id, rows.group, strict=True))
    assert group["rock/rock.00000.wav"] == group["rock/rock.00001.wav"]
    assert len(set(group.values())) == 3


def test_an_inspection_tells_of_equal_tracks_and_labels_that_contradict(tmp_path):
    table = write(tmp_path / "table.csv", rows=[*ROWS, row("blues.00002.au", "blues", 3)])
    gtzan.prepare(table, str(tmp_path / "cache"))

    content = inspect(Cache.open(tmp_path / "cache"))
    same = ["blues/blues.00002.au", "rock/rock.00000.wav", "rock/rock.00001.wav"]
    assert content["exact_duplicates"] == [same]
    assert content["contradicting"] == same
    # Of five tracks three have two copies each: a split in five puts one of them elsewhere in 1 - 1/25.
    assert content["leak"] == pytest.approx(3 / 5 * (1 - 1 / 25))
    assert content["near_duplicates"] is None


def test_given_groups_are_united_with_equal_tracks_and_kept(tmp_path):
    table, groups = write(tmp_path / "table.csv"), tmp_path / "groups.csv"
    groups.write_text("file,group\nrock/rock.00001.wav,Ella\nblues/blues.00000.au,Ella\n")
    for groups_option in (str(groups), None):
        gtzan.prepare(table, str(tmp_path / "cache"), groups_option)
        rows = Cache.open(tmp_path / "cache").features
        assert list(rows.group) == ["Ella", "blues/blues.00001.au", "Ella", "Ella"]


@pytest.mark.parametrize("name", ["file", "file/cache"])
def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, name):
    (tmp_path / "file").write_text("words")
    with pytest.raises(CacheError, match="cannot be written"):
        gtzan.prepare(write(tmp_path / "table.csv"), str(tmp_path / name))


def test_a_cache_of_another_source_is_left_alone(tmp_path):
    table = write(tmp_path / "table.csv")
    gtzan.prepare(table, str(tmp_path / "cache"))
    gtzan.prepare(table, str(tmp_path / "cache"))
    path = tmp_path / "cache" / "cache.json"
    path.write_text(path.read_text().replace('"features-csv"', '"audio"'))

    with pytest.raises(CacheError, match="another source"):
        gtzan.prepare(table, str(tmp_path / "cache"))


def test_order_of_rows_and_columns_does_not_matter(tmp_path):
    order = list(reversed(range(len(HEADER))))
    turned = [[each[index] for index in order] for each in reversed(ROWS)]
    gtzan.prepare(write(tmp_path / "a.csv"), str(tmp_path / "a"))
    gtzan.prepare(write(tmp_path / "b.csv", turned, [HEADER[index] for index in order]), str(tmp_path / "b"))

    a, b = Cache.open(tmp_path / "a"), Cache.open(tmp_path / "b")
    assert a.info.fingerprint == b.info.fingerprint
    np.testing.assert_array_equal(a.features.X, b.features.X)


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = write(tmp_path / "table.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")

    assert len(gtzan.read(path)) == 4


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (changed("mfcc7_mean", "loud"), ["line 3", "mfcc7_mean", "'loud'"]),
        (changed("tempo", ""), ["line 3", "tempo", "''"]),
        (changed("tempo", "nan"), ["line 3", "tempo", "finite"]),
        (changed("rms_var", "-inf", line=5), ["line 5", "rms_var", "finite"]),
        (changed("length", "0"), ["line 3", "length"]),
        (changed("label", ""), ["line 3", "label"]),
        (changed("filename", ""), ["line 3", "filename"]),
        (changed("filename", "blues.00001.au"), ["line 4", "blues.00001.au", "line 3"]),
        (
            changed("filename", "blues.00000.0.wav"),
            ["line 3: 'blues.00000.0.wav' is a segment, but line 2 is a whole clip", "features_30_sec.csv"],
        ),
        ([*ROWS[:2], ROWS[2][:-9]], ["line 4", "cut short"]),
        (ROWS[1:3], ["one genre", "blues"]),
        ([], ["no rows"]),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, words):
    path = write(tmp_path / "table.csv", rows)

    with pytest.raises(CacheError) as caught:
        gtzan.prepare(path, str(tmp_path / "cache"))

    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("column", ["filename", "length", "perceptr_var", "label"])
def test_a_missing_column_is_named(tmp_path, column):
    index = HEADER.index(column)
    rows = [each[:index] + each[index + 1 :] for each in ROWS]
    path = write(tmp_path / "table.csv", rows, HEADER[:index] + HEADER[index + 1 :])

    with pytest.raises(CacheError, match=f"no column '{column}'"):
        gtzan.read(path)


def test_a_column_that_is_there_twice_is_named(tmp_path):
    path = write(tmp_path / "table.csv", [[*each, "1"] for each in ROWS], [*HEADER, "tempo"])

    with pytest.raises(CacheError, match="'tempo' occurs 2 times"):
        gtzan.read(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01" * 9, b"nothing,of,that\n"])
def test_a_file_that_is_no_such_table_is_refused(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)

    with pytest.raises(CacheError, match=r"table\.csv"):
        gtzan.read(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CacheError, match="no such file"):
        gtzan.read(tmp_path / "none.csv")
    with pytest.raises(CacheError, match="cannot be read"):
        gtzan.read(tmp_path)


def test_the_published_table_is_taken_as_it_is(shared):
    table = gtzan.read(shared / "gtzan" / "features_30_sec.csv")

    assert len(table) == 1000
    assert table["label"].value_counts().tolist() == [100] * 10
    assert table["group"].nunique() == 986
    assert table["track_id"].iloc[0] == "blues/blues.00000.au"
    assert table["tempo"].iloc[0] == 123.046875


SEGMENTS = [
    row(f"{genre}.{track:05d}.{segment}.wav", genre, 100 * len(genre) + 10 * (track % 2) + segment, "66149")
    for genre in ("rock", "blues")
    for track in range(3)
    for segment in (2, 0, 1)
]


def test_rows_of_segments_are_segments_of_one_track(tmp_path):
    gtzan.prepare(write(tmp_path / "features_3_sec.csv", SEGMENTS), str(tmp_path / "cache"))
    cache = Cache.open(tmp_path / "cache")
    rows = cache.features
    assert cache.info.parameters["segment_seconds"] == 3.0
    assert rows.track_id[:3].tolist() == ["blues/blues.00000.wav"] * 3
    assert rows.segment.tolist() == [0, 1, 2] * 6
    by_name = {each[0]: each for each in SEGMENTS}
    np.testing.assert_array_equal(rows.X[1], [float(value) for value in by_name["blues.00000.1.wav"][2:-1]])
    content = inspect(cache)
    assert (content["tracks"], content["segments"]) == (6, 18)
    assert content["duration_s"]["median"] == pytest.approx(3 * 66149 / 22050, abs=1e-3)
    # Tracks 0 and 2 of each genre have equal rows: they are one group.
    assert content["groups"] == 4
    split = make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0)
    assert len(split.track_id) == 6


def test_tables_of_clips_and_segments_do_not_mix(tmp_path):
    gtzan.prepare(write(tmp_path / "clips.csv"), str(tmp_path / "cache"))
    with pytest.raises(CacheError, match=r"made from a table of 30 s segments, .* of 3 s; name a new folder"):
        gtzan.prepare(write(tmp_path / "segments.csv", SEGMENTS), str(tmp_path / "cache"))
    other = row("rock.00001.1.wav", "blues", 5)
    with pytest.raises(CacheError, match=r"has the label 'blues', but another segment of rock.00001.wav"):
        gtzan.read(write(tmp_path / "labels.csv", [*SEGMENTS, other]))
