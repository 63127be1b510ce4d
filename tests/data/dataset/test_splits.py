from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.dataset.splits import TEST, TRAIN, UNUSED, Split, make_split, read_split
from data.errors import SplitError


def tracks_of(counts: dict[str, int], *, group_size: int = 1) -> pd.DataFrame:
    rows = [
        (f"{label}/{number:03d}", label, f"{label}-{number // group_size}")
        for label, count in counts.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["track_id", "label", "group"], dtype=object)


@st.composite
def grouped_tracks(draw: st.DrawFn) -> pd.DataFrame:
    labels = ["a", "b", "c"][: draw(st.integers(2, 3))]
    rows = []
    for label in labels:
        sizes = draw(st.lists(st.integers(1, 4), min_size=6, max_size=14))
        for group, size in enumerate(sizes):
            # Some groups hold tracks of two genres, as duplicates with two labels do.
            shared = draw(st.booleans()) and group == 0
            name = "shared" if shared else f"{label}{group}"
            rows += [(f"{label}/{group}.{number}", label, name) for number in range(size)]
    return pd.DataFrame(rows, columns=["track_id", "label", "group"], dtype=object)


@settings(max_examples=60, deadline=None)
@given(grouped_tracks(), st.integers(1, 4), st.sampled_from([0.0, 0.2, 0.25]), st.integers(0, 1000))
def test_no_group_is_ever_on_two_sides(
    tracks: pd.DataFrame, folds: int, test_fraction: float, seed: int
) -> None:
    try:
        split = make_split(tracks, folds=folds, test_fraction=test_fraction, seed=seed)
    except SplitError:
        assume(False)
    side_of_group = pd.Series(split.fold).groupby(tracks["group"].to_numpy()).nunique()
    assert side_of_group.max() == 1
    for train, valid in split.folds():
        assert not (train & valid).any()
        assert not ((train | valid) & split.test).any()
        assert not set(tracks["group"][train]) & set(tracks["group"][valid | split.test])


def test_every_searchable_track_is_validated_once() -> None:
    split = make_split(tracks_of({"a": 40, "b": 60}), folds=5, test_fraction=0.2, seed=3)
    validated = sum(valid.astype(int) for _, valid in split.folds())
    assert np.array_equal(validated, split.searchable.astype(int))
    assert split.n_folds == 5


def test_sides_are_stratified() -> None:
    tracks = tracks_of({"a": 40, "b": 60})
    split = make_split(tracks, folds=4, test_fraction=0.2, seed=0)
    assert tracks["label"][split.test].value_counts().to_dict() == {"a": 8, "b": 12}
    for _, valid in split.folds():
        assert tracks["label"][valid].value_counts().to_dict() == {"a": 8, "b": 12}


@pytest.mark.parametrize("group_size", [1, 2])
def test_many_tracks_are_stratified_exactly_if_they_have_no_groups(group_size: int) -> None:
    tracks = tracks_of({"a": 9001, "b": 2003}, group_size=group_size)
    split = make_split(tracks, folds=4, test_fraction=0.25, seed=0)
    side_of_group = pd.Series(split.fold).groupby(tracks["group"].to_numpy()).nunique()
    assert side_of_group.max() == 1
    counts = pd.crosstab(tracks["label"], split.fold)
    assert counts.sum(axis=1).tolist() == [9001, 2003]
    assert (counts[[0, 1, 2, 3]].max(axis=1) - counts[[0, 1, 2, 3]].min(axis=1)).max() <= group_size
    assert (counts[TEST] / counts.sum(axis=1) - 0.25).abs().max() < 0.001


def test_hold_out_trains_on_the_rest() -> None:
    split = make_split(tracks_of({"a": 20, "b": 20}), folds=1, test_fraction=0.0, seed=0)
    ((train, valid),) = split.folds()
    assert valid.sum() == 8
    assert (split.fold[train] == TRAIN).all()
    assert not split.test.any()


def test_the_seed_determines_the_split() -> None:
    tracks = tracks_of({"a": 30, "b": 30})
    first, again, other = (make_split(tracks, folds=3, test_fraction=0.2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.fold, again.fold)
    assert not np.array_equal(first.fold, other.fold)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ({"a": 3, "b": 30}, {"folds": 5}, "--folds 5: genre 'a' has 3 .*; use --folds 3 or fewer, or add"),
        ({"a": 3, "b": 30}, {"folds": 1}, "--folds 1: genre 'a' has 3 .*; use --folds 2 to 3, or add"),
        ({"a": 1, "b": 30}, {"folds": 5}, "genre 'a' has 1 .*; name other groups, or add tracks"),
        ({"a": 30}, {"folds": 5}, "only one genre"),
        ({"a": 30, "b": 30}, {"folds": 0}, "--folds 0"),
        ({"a": 30, "b": 30}, {"folds": 2, "test_fraction": 0.7}, "--test-fraction 0.7"),
        (
            {"a": 4, "b": 30},
            {"folds": 2, "test_fraction": 0.2},
            "--test-fraction 0.2: genre 'a' .*; use 0.25 or 0, or",
        ),
        (
            {"a": 30, "b": 30},
            {"folds": 2, "test_fraction": 0.02},
            "0.02: too small; the minimum is 0.05",
        ),
        ({"a": 1, "b": 4}, {"folds": 2}, "genre 'a' has 1 independent group of tracks, fewer than the 2"),
    ],
)
def test_bad_requests(counts: dict[str, int], options: dict[str, float], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_split(tracks_of(counts), **{"test_fraction": 0.0, "seed": 0, **options})  # type: ignore[arg-type]


def test_frame_round_trip() -> None:
    split = make_split(tracks_of({"a": 12, "b": 12}), folds=3, test_fraction=0.2, seed=0)
    again = Split.from_frame(split.frame())
    assert np.array_equal(again.fold, split.fold)
    assert again.track_id.tolist() == split.track_id.tolist()
    assert again.track_id.dtype == object


def written(path: Path, rows: list[tuple[str, str]]) -> Path:
    pd.DataFrame(rows, columns=["track_id", "split"]).to_csv(path, index=False)
    return path


def test_published_partition(tmp_path: Path) -> None:
    tracks = tracks_of({"a": 4, "b": 4})
    sides = ["train", "train", "valid", "test"]
    rows = [(track, sides[number % 4]) for number, track in enumerate(tracks["track_id"])][:-1]
    split = read_split(written(tmp_path / "split.csv", rows), tracks)
    assert split.fold.tolist() == [TRAIN, TRAIN, 0, TEST, TRAIN, TRAIN, 0, UNUSED]
    assert split.n_folds == 1
    assert split.searchable.sum() == 6


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a/000", "training")], "line 2: 'training' is not one of train, valid, test"),
        ([("a/000", "train"), ("nowhere", "valid")], "line 3: no track 'nowhere'"),
        ([("a/000", "train"), ("a/000", "valid")], "line 3: track 'a/000' is named twice"),
        (
            [("a/000", "train"), ("a/001", "test")],
            "line 3: 'a/001' is in test, but another track of its group",
        ),
        ([("a/000", "train"), ("b/000", "train")], "no track is in valid"),
        ([("a/000", "train"), ("b/000", "valid")], "genre 'b' has no track in train"),
    ],
)
def test_bad_partitions(tmp_path: Path, rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        read_split(written(tmp_path / "split.csv", rows), tracks_of({"a": 4, "b": 4}, group_size=2))


def test_partition_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="no such file"):
        read_split(tmp_path / "none.csv", tracks_of({"a": 4, "b": 4}))
    (tmp_path / "other.csv").write_text("file,side\na,b\n")
    with pytest.raises(SplitError, match="no column 'track_id'"):
        read_split(tmp_path / "other.csv", tracks_of({"a": 4, "b": 4}))


@pytest.mark.parametrize("groups", range(3, 20))
def test_the_suggested_fraction_works(groups: int) -> None:
    tracks = tracks_of({"a": groups, "b": 60})
    with pytest.raises(SplitError) as caught:
        make_split(tracks, folds=2, test_fraction=0.05, seed=0)
    suggested = re.search(r"use (\S+) or 0", str(caught.value))
    assert suggested is not None
    split = make_split(tracks, folds=2, test_fraction=float(suggested[1]), seed=0)
    assert split.test.any()
