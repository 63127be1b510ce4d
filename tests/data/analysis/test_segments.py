from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.analysis.kinds import Kind
from data.analysis.parameters import Melspec, Parameters, Picture
from data.analysis.segments import of_file, row_shape
from data.cache.cache import Cache
from data.collection.scan import find_files
from data.errors import CacheError
from data.pipeline.planner import Preparation
from tests.support.collection import make_collection

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


@pytest.mark.parametrize("kind", ["features", "melspec", "image"])
def test_a_file_gives_the_rows_that_the_cache_holds_of_it(kind: Kind, collection: Path, cache: Cache) -> None:
    rows = cache.rows(kind)
    for track in sorted(set(rows.track_id)):
        X, start_s = of_file(collection / track, PARAMETERS, kind)
        mine = np.flatnonzero(rows.track_id == track)
        assert np.array_equal(X, rows.X[mine])
        assert len(start_s) == len(mine) > 1
        assert start_s[0] == 0
        assert (np.diff(start_s) > 0).all()
        assert X.shape[1:] == row_shape(PARAMETERS, kind)


def test_windows_begin_where_they_lie_in_the_audio(collection: Path) -> None:
    X, start_s = of_file(collection / "genre0" / "genre0.00000.wav", PARAMETERS, "melspec")
    # Two segments of 1.85 s with windows of half a second, each half over the one before.
    assert len(X) == 14
    assert start_s[7] == pytest.approx(1.85, abs=1e-3)
    assert start_s[1] == pytest.approx(0.225, abs=0.02)


def test_a_model_of_pictures_takes_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(np.full((30, 40, 3), 60, dtype=np.uint8)).save(path)
    parameters = Parameters(from_pictures=True, image=Picture(size=24))
    X, start_s = of_file(path, parameters, "image")
    assert X.shape == (1, 24, 24, 3)
    assert (X == 60).all()
    assert start_s.tolist() == [0.0]


def test_tensors_that_the_parameters_do_not_name(collection: Path) -> None:
    with pytest.raises(CacheError, match="name no melspec tensors"):
        of_file(collection / "genre0" / "genre0.00000.wav", Parameters(), "melspec")
