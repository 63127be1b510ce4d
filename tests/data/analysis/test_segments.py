from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from threadpoolctl import threadpool_limits

from data.analysis.features import extract
from data.analysis.kinds import FEATURE_KIND, Kind
from data.analysis.parameters import Melspec, Parameters, Picture
from data.analysis.segments import moving_ranges, of_file, row_seconds, row_shape, segment_bounds
from data.cache.cache import Cache
from data.collection.scan import find_files
from data.errors import AudioError, CacheError
from data.pipeline.planner import Preparation
from tests.support.collection import SR, make_collection

PARAMETERS = Parameters(
    segment_seconds=2.0,
    melspec=Melspec(seconds=0.5, overlap=0.5, n_mels=16),
    image=Picture(seconds=1.0, size=24, n_mels=16),
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("audio") / "audio", tracks=1, seconds=3.7)


@pytest.fixture(scope="module")
def cache(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    uri = str(tmp_path_factory.mktemp("inputs") / "cache")
    preparation = Preparation.plan(uri, find_files(collection), PARAMETERS)
    for _ in preparation.run(workers=1, address=None, strict=True):
        pass
    preparation.finish({})
    return Cache.open(uri)


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (30.02, 1), (44, 1), (46, 2), (59, 2), (3600, 120)])
def test_a_track_is_cut_into_equal_segments_with_nothing_lost(seconds: float, count: int) -> None:
    bounds = segment_bounds(round(seconds * SR))
    assert len(bounds) == count + 1
    assert (bounds[0], bounds[-1]) == (0, round(seconds * SR))
    assert np.ptp(np.diff(bounds)) <= 1


@pytest.mark.parametrize(
    ("seconds", "hop", "ranges"),
    [
        (6, 2, [(0, 3), (2, 5), (3, 6)]),
        (6, 3, [(0, 3), (3, 6)]),
        (7, 2, [(0, 3), (2, 5), (4, 7)]),
        (8, 3, [(0, 3), (3, 6), (5, 8)]),
        # With gaps, the rest of the track is one of them.
        (14, 5, [(0, 3), (5, 8), (10, 13)]),
        (12, 5, [(0, 3), (5, 8)]),
        (2, 5, [(0, 2)]),
    ],
)
def test_a_window_moves_over_a_track(seconds: int, hop: float, ranges: list[tuple[int, int]]) -> None:
    moved = moving_ranges(seconds * 10, sr=10, segment_seconds=3, hop_s=hop)
    assert moved.tolist() == [[10 * start, 10 * end] for start, end in ranges]


@pytest.mark.parametrize("kind", ["features", "melspec", "image"])
def test_rows_of_a_moving_window_are_those_of_that_part_alone(tmp_path: Path, kind: Kind) -> None:
    y = np.random.default_rng(0).normal(scale=0.1, size=5 * SR).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    length = row_seconds(PARAMETERS, kind)
    assert length == {"features": 2.0, "melspec": 0.5, "image": 1.0}[kind]
    X, start_s = of_file(tmp_path / "a.wav", PARAMETERS, kind, hop_s=1.5)
    assert start_s[:3].tolist() == [0, 1.5, 3.0]
    part = y[round(1.5 * SR) : round((1.5 + length) * SR)]
    soundfile.write(tmp_path / "part.wav", part, SR, subtype="FLOAT")
    alone = PARAMETERS.model_copy(update={"segment_seconds": length})
    expected, _ = of_file(tmp_path / "part.wav", alone, kind)
    np.testing.assert_array_equal(X[1], expected[0])


def test_too_many_windows_are_refused(collection: Path) -> None:
    path = collection / "genre0" / "genre0.00000.wav"
    with pytest.raises(
        AudioError, match=r"a hop of 0.0001 s gives \d+ windows, at most 5000; use a longer hop"
    ):
        of_file(path, PARAMETERS, "melspec", hop_s=0.0001)


def test_a_file_is_analysed_by_segment(tmp_path: Path) -> None:
    y = np.random.default_rng(0).normal(scale=0.1, size=6 * SR).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    X, start_s = of_file(tmp_path / "a.wav", Parameters(segment_seconds=2), FEATURE_KIND)
    assert start_s.tolist() == [0, 2, 4]
    with threadpool_limits(1):
        np.testing.assert_array_equal(X[1], extract(y[2 * SR : 4 * SR]))


@pytest.mark.parametrize("kind", ["features", "melspec", "image"])
def test_predictions_get_the_same_rows_as_the_cache_holds(kind: Kind, collection: Path, cache: Cache) -> None:
    rows = cache.rows(kind)
    for track in sorted(set(rows.track_id)):
        X, start_s = of_file(collection / track, PARAMETERS, kind)
        in_cache = np.flatnonzero(rows.track_id == track)
        assert np.array_equal(X, rows.X[in_cache])
        assert len(start_s) == len(in_cache) > 1
        assert start_s[0] == 0
        assert (np.diff(start_s) > 0).all()
        assert X.shape[1:] == row_shape(PARAMETERS, kind)


def test_windows_start_at_their_position_in_the_audio(collection: Path) -> None:
    X, start_s = of_file(collection / "genre0" / "genre0.00000.wav", PARAMETERS, "melspec")
    # Two segments of 1.85 s with windows of half a second, each overlapping the previous one by half.
    assert len(X) == 14
    assert start_s[7] == pytest.approx(1.85, abs=1e-3)
    assert start_s[1] == pytest.approx(0.225, abs=0.02)


def test_an_image_is_read_if_the_parameters_describe_images(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.full((30, 40, 3), 60, dtype=np.uint8)).save(path)
    parameters = Parameters(from_pictures=True, image=Picture(size=24))
    X, start_s = of_file(path, parameters, "image")
    assert X.shape == (1, 24, 24, 3)
    assert (X == 60).all()
    assert start_s.tolist() == [0.0]


def test_a_kind_without_parameters_is_refused(collection: Path) -> None:
    with pytest.raises(CacheError, match="name no melspec tensors"):
        of_file(collection / "genre0" / "genre0.00000.wav", Parameters(), "melspec")
