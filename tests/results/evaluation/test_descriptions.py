from __future__ import annotations

from typing import get_args

import pytest

from data.cache.format import CacheInfo
from results.evaluation.descriptions import reads_images, source, split
from search.storage.run_info import CacheRef, RunInfo
from tests.support.runs import make_info


def info_of(kind: str, **parameters: object) -> RunInfo:
    data = CacheRef(uri="c", fingerprint="0", source=kind, synthetic=False, parameters=parameters)
    return make_info("a", cache=data)


def test_every_source_of_a_cache_has_a_description() -> None:
    for kind in get_args(CacheInfo.model_fields["source"].annotation):
        assert source(info_of(kind)) != kind


@pytest.mark.parametrize(
    ("recorded", "description"),
    [
        ({"folds": 3}, "3 folds"),
        ({"folds": 1}, "one hold-out"),
        ({"folds": 1, "test_fraction": None}, "a given partition"),
    ],
)
def test_the_description_of_a_split(recorded: dict[str, object], description: str) -> None:
    assert split(make_info("a", **recorded)) == description


def test_only_a_cache_of_images_reads_images() -> None:
    assert reads_images(info_of("images", from_pictures=True))
    assert not reads_images(info_of("audio", from_pictures=False))
    assert not reads_images(info_of("features-csv"))
