from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.dataset.splits import TEST, TRAIN
from data.errors import SplitError
from search.plan import make_plan
from search.settings import SearchSettings
from tests.support.collection import make_collection
from tests.support.preparing import prepared


def settings(cache: Path, runs: Path, **options: object) -> SearchSettings:
    return SearchSettings.checked(
        family="features_mlp", cache=str(cache), runs=str(runs), trials=1, max_epochs=2, **options
    )


def test_the_partition_of_a_cache(tmp_path: Path) -> None:
    audio, cache, runs = make_collection(tmp_path / "audio", tracks=6), tmp_path / "cache", tmp_path / "runs"
    names = sorted(path.relative_to(audio).as_posix() for path in audio.glob("*/*.wav"))
    sides = ["train", "train", "train", "Training", "dev", "eval"] * 2
    labels = tmp_path / "labels.csv"
    rows = [f"{name},{name[:6]},{side}\n" for name, side in zip(names, sides, strict=True)]
    labels.write_text("file,label,split\n" + "".join(rows))
    prepared(audio, cache, "--labels", labels)
    # A rerun that does not name the table keeps the partition.
    prepared(audio, cache)
    expected = [TRAIN] * 4 + [0, TEST]
    plan = make_plan(settings(cache, runs))
    assert plan.split.fold.tolist() == expected * 2
    assert plan.info.test_fraction is None
    assert len(plan.notes) == 1
    assert plan.notes[0].startswith("Tracks by the partition of the cache: 8 training, 2 validation, 2 test;")
    for option in ({"folds": 2}, {"test_fraction": 0.1}):
        with pytest.raises(SplitError, match="--splits none sets the cache's partition aside"):
            make_plan(settings(cache, runs, **option))
    aside = make_plan(settings(cache, runs, splits="none", folds=2, test_fraction=0.25))
    assert (aside.split.n_folds, aside.info.test_fraction, aside.notes) == (2, 0.25, [])
    mine = tmp_path / "mine.csv"
    rows = [f"{name},{side}\n" for name, side in zip(names, ["train", "valid"] * 6, strict=True)]
    mine.write_text("track_id,split\n" + "".join(rows))
    assert make_plan(settings(cache, runs, splits=str(mine))).split.fold.tolist() == [TRAIN, 0] * 6

    # A cache of format 2 has no such column.
    manifest = pq.read_table(cache / "manifest.parquet")
    pq.write_table(manifest.drop_columns(["given_split"]), cache / "manifest.parquet")
    info = json.loads((cache / "cache.json").read_text())
    assert info["format"] == 3
    (cache / "cache.json").write_text(json.dumps(info | {"format": 2}))
    assert make_plan(settings(cache, runs, folds=2)).split.n_folds == 2


def test_one_deal_for_all_families(tmp_path: Path) -> None:
    """Families with and without an input for each track, on a hold-out and on folds, share one split."""
    audio, cache, runs = make_collection(tmp_path / "audio", tracks=10), tmp_path / "cache", tmp_path / "runs"
    prepared(audio, cache)
    names = sorted(path.relative_to(audio).as_posix() for path in audio.glob("*/*.wav"))
    # One track has no features, as if its embedding or spectrogram had failed.
    features = pq.read_table(cache / "features.parquet")
    kept = [track != names[0] for track in features["track_id"].to_pylist()]
    folds = make_plan(settings(cache, runs, folds=5))
    pq.write_table(features.filter(kept), cache / "features.parquet")
    less = make_plan(settings(cache, runs, folds=5))
    held_out = make_plan(settings(cache, runs, folds=1))
    assert less.split.fold.tolist() == folds.split.fold.tolist()
    assert held_out.split.fold.tolist() == folds.split.hold_out().fold.tolist()
    assert {plan.info.deal for plan in (folds, less, held_out)} == {folds.info.deal}
    assert (folds.notes, folds.info.missing_inputs, less.info.missing_inputs) == ([], 0, 1)
    assert less.notes == [
        f"features_mlp: 1 of the tracks have no features in the cache and are left out, the first is"
        f" {names[0]}; the other tracks keep their sides"
    ]
    assert less.info.n_validated + less.info.n_test == len(names) - 1
    assert names[0] not in less.task.track_id
    # The partition is stored, and other runs of this cache begin from it.
    assert [path.name for path in (cache / "splits").iterdir()] == ["seed0-test0.2-folds5.parquet"]

    more = make_collection(tmp_path / "audio", tracks=12)
    prepared(more, cache)
    joined = make_plan(settings(cache, runs, folds=5))
    before = dict(zip(folds.split.track_id, folds.split.fold, strict=True))
    after = dict(zip(joined.split.track_id, joined.split.fold, strict=True))
    assert {track: after[track] for track in before} == before
    assert joined.notes == ["4 tracks were added since the cache was first split; they joined that split"]
