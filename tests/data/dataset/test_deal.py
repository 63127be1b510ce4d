from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.cache.cache import Cache
from data.dataset.deal import FOLDER, deal, stored_deal, usable_tracks
from data.dataset.splits import TEST, Split, make_split
from data.errors import CacheError, SplitError
from data.io.folder import Folder
from tests.support.rows import make_rows, write_cache


def collection(counts: dict[str, int], *, group_size: int = 1, first: int = 0) -> pd.DataFrame:
    rows = [
        (f"{label}/{number:03d}", label, f"{label}-{number // group_size}")
        for label, count in counts.items()
        for number in range(first, first + count)
    ]
    frame = pd.DataFrame(rows, columns=["track_id", "label", "group"], dtype=object)
    return frame.sort_values("track_id").reset_index(drop=True)


def sides(split: Split) -> dict[str, int]:
    return dict(zip(split.track_id.tolist(), split.fold.tolist(), strict=True))


def both(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts).sort_values("track_id").reset_index(drop=True)


OPTIONS = {"folds": 5, "test_fraction": 0.2, "seed": 3}


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.integers(0, 99))
def test_added_tracks_move_no_other_and_keep_the_proportions(a: int, b: int, size: int, seed: int) -> None:
    old = collection({"a": 40, "b": 60}, group_size=size)
    new = collection({"a": a, "b": b}, group_size=size, first=100)
    options = OPTIONS | {"seed": seed}
    earlier = deal(old, **options).split  # type: ignore[arg-type]
    dealt = deal(both(old, new), **options, earlier=earlier)  # type: ignore[arg-type]
    after = sides(dealt.split)
    assert all(after[track] == fold for track, fold in sides(earlier).items())
    assert sorted(dealt.joined) == sorted(new["track_id"])
    assert dealt.moved == []
    frame = dealt.split.frame()
    assert frame.groupby("group")["fold"].nunique().max() == 1
    for label, total in frame["label"].value_counts().items():
        of_label = frame[frame["label"] == label]["fold"]
        locked = (of_label == TEST).sum()
        before = (earlier.fold[earlier.label == label] == TEST).sum()
        assert abs(locked - 0.2 * total) <= max(abs(before - 0.2 * (earlier.label == label).sum()), 0) + size


def test_the_first_deal_is_a_plain_split() -> None:
    tracks = collection({"a": 40, "b": 60}, group_size=2)
    assert sides(deal(tracks, **OPTIONS).split) == sides(make_split(tracks, **OPTIONS))  # type: ignore[arg-type]


def test_a_hold_out_is_fold_0_of_the_same_deal(tmp_path: Path) -> None:
    tracks, cache = collection({"a": 40, "b": 60}), Folder.at(tmp_path)
    held_out = stored_deal(cache, tracks, folds=1, test_fraction=0.2, seed=0).split
    folds = stored_deal(cache, tracks, folds=5, test_fraction=0.2, seed=0).split
    assert np.array_equal(held_out.fold == 0, folds.fold == 0)
    assert np.array_equal(held_out.test, folds.test)
    assert held_out.n_folds == 1
    assert sides(held_out) == sides(make_split(tracks, folds=1, test_fraction=0.2, seed=0))
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_a_deal_is_stored_and_extended(tmp_path: Path) -> None:
    cache, old = Folder.at(tmp_path), collection({"a": 40, "b": 60})
    first = stored_deal(cache, old, **OPTIONS)  # type: ignore[arg-type]
    assert first.stored
    assert first.joined == []
    more = both(old, collection({"a": 10, "b": 10}, first=100))
    second = stored_deal(cache, more, **OPTIONS)  # type: ignore[arg-type]
    assert len(second.joined) == 20
    third = stored_deal(cache, more, **OPTIONS)  # type: ignore[arg-type]
    assert sides(third.split) == sides(second.split)
    assert third.joined == []
    other = stored_deal(cache, more, **OPTIONS | {"seed": 4})  # type: ignore[arg-type]
    assert sides(other.split) != sides(second.split)


def test_a_track_that_is_missing_for_a_while_keeps_its_side(tmp_path: Path) -> None:
    cache, tracks = Folder.at(tmp_path), collection({"a": 40, "b": 60})
    before = sides(stored_deal(cache, tracks, **OPTIONS).split)  # type: ignore[arg-type]
    fewer = tracks[tracks["track_id"] != "a/007"].reset_index(drop=True)
    added = both(fewer, collection({"b": 5}, first=100))
    without = sides(stored_deal(cache, added, **OPTIONS).split)  # type: ignore[arg-type]
    assert "a/007" not in without
    back = sides(stored_deal(cache, both(tracks, collection({"b": 5}, first=100)), **OPTIONS).split)  # type: ignore[arg-type]
    assert all(back[track] == fold for track, fold in before.items())


def test_groups_that_become_one_move_to_the_searchable_side() -> None:
    tracks = collection({"a": 40, "b": 60})
    earlier = deal(tracks, **OPTIONS).split  # type: ignore[arg-type]
    locked = earlier.track_id[earlier.test][0]
    searchable = earlier.track_id[earlier.fold == 2][:1][0]
    united = tracks.copy()
    united.loc[united["track_id"].isin([locked, searchable]), "group"] = "one recording"
    dealt = deal(united, **OPTIONS, earlier=earlier)  # type: ignore[arg-type]
    assert dealt.moved == [locked]
    assert sides(dealt.split)[locked] == sides(dealt.split)[searchable] == 2


def test_a_track_of_a_known_group_joins_it() -> None:
    tracks = collection({"a": 40, "b": 60}, group_size=4)
    earlier = deal(tracks, **OPTIONS).split  # type: ignore[arg-type]
    more = both(tracks, pd.DataFrame({"track_id": ["a/100"], "label": ["a"], "group": ["a-0"]}, dtype=object))
    after = sides(deal(more, **OPTIONS, earlier=earlier).split)  # type: ignore[arg-type]
    assert after["a/100"] == after["a/000"]


def test_a_deal_of_another_version_is_refused(tmp_path: Path) -> None:
    tracks, cache = collection({"a": 40, "b": 60}), Folder.at(tmp_path)
    stored_deal(cache, tracks, **OPTIONS)  # type: ignore[arg-type]
    (file,) = (tmp_path / FOLDER).iterdir()
    tracks.to_parquet(file)
    with pytest.raises(CacheError, match="in another format; delete the file"):
        stored_deal(cache, tracks, **OPTIONS)  # type: ignore[arg-type]


def test_a_cache_that_cannot_be_written_is_split_all_the_same(tmp_path: Path) -> None:
    tracks = collection({"a": 40, "b": 60})
    # A file in place of the folder refuses writing to every user, the superuser included.
    (tmp_path / FOLDER).write_text("")
    dealt = stored_deal(Folder.at(tmp_path), tracks, **OPTIONS)  # type: ignore[arg-type]
    assert not dealt.stored
    assert sides(dealt.split) == sides(make_split(tracks, **OPTIONS))  # type: ignore[arg-type]


def test_a_new_genre_without_enough_groups_is_refused() -> None:
    tracks = collection({"a": 40, "b": 60})
    earlier = deal(tracks, **OPTIONS).split  # type: ignore[arg-type]
    with pytest.raises(SplitError, match="genre 'c' has no training track"):
        deal(both(tracks, collection({"c": 1})), **OPTIONS, earlier=earlier)  # type: ignore[arg-type]


def test_usable_tracks_are_those_of_the_manifest(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", make_rows(tracks=3))
    manifest = pd.DataFrame(
        {
            "track_id": ["b/1", "a/1", "a/2"],
            "label": ["b", "a", "a"],
            "group": ["x", "y", "y"],
            "status": ["ok", "ok", "skipped"],
        }
    )
    manifest.to_parquet(cache / "manifest.parquet")
    tracks = usable_tracks(Cache.open(cache))
    assert tracks.to_dict("list") == {"track_id": ["a/1", "b/1"], "label": ["a", "b"], "group": ["y", "x"]}
    (cache / "manifest.parquet").unlink()
    with pytest.raises(CacheError, match=r"manifest\.parquet: cannot be read"):
        usable_tracks(Cache.open(cache))
