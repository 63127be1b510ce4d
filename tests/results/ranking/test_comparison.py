from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.cache.cache import Cache
from data.dataset.splits import Split
from data.errors import RunError
from results.evaluation.trials import named_trial
from results.ranking.comparison import compare
from tests.support.runs import make_run, write_judgement, write_scores


def test_trials_of_the_same_split_are_paired_on_all_tracks(made_runs: Path) -> None:
    a = named_trial("first:first_00001", str(made_runs))
    b = named_trial("again:again_00001", str(made_runs))
    comparison = compare(a, b)
    test = comparison.test
    assert comparison.same_split
    assert comparison.left_out == 0
    assert test.n == a.info.n_validated
    assert comparison.right_a / test.n == pytest.approx(a.val_accuracy)
    assert comparison.right_b / test.n == pytest.approx(b.val_accuracy)
    assert comparison.right_a - comparison.right_b == test.only_a - test.only_b


def test_a_trial_equals_itself(made_runs: Path) -> None:
    a = named_trial("first", str(made_runs))
    record = compare(a, a).record()
    assert record["mcnemar_p"] == 1
    assert not record["distinct"]
    assert record["difference"] == 0


def test_with_different_splits_only_common_tracks_count(made_runs: Path) -> None:
    a = named_trial("first:BASELINE", str(made_runs))
    b = named_trial("untested:BASELINE", str(made_runs))
    comparison = compare(a, b)
    assert not comparison.same_split
    assert comparison.test.n == a.info.n_validated
    assert comparison.left_out == b.info.n_validated - a.info.n_validated


def test_trials_on_different_data_cannot_be_paired(
    made_runs: Path, other_cache_dir: Path, tmp_path: Path
) -> None:
    make_run(tmp_path, Cache.open(other_cache_dir), "other", [{}])
    a, b = named_trial("first", str(made_runs)), named_trial("other", str(tmp_path))
    with pytest.raises(RunError, match="on different data"):
        compare(a, b)


def test_related_tracks_are_compared_by_group(tmp_path: Path) -> None:
    run = write_scores(tmp_path, "a", [0.6, 0.8])
    for number, right in enumerate((60, 80)):
        write_judgement(run, f"t{number}", right)
    a, b = (named_trial(f"a:t{number}", str(tmp_path)) for number in (0, 1))
    independent = compare(a, b).record()
    assert independent["distinct"]
    assert (independent["n_groups"], independent["test"]) == (None, "exact McNemar test")
    tracks = np.array([f"blues/{number:03d}" for number in range(100)], dtype=object)
    artists = np.array([f"artist {number // 5}" for number in range(100)], dtype=object)
    run.write_split(Split(tracks, np.arange(100) % 2, np.full(100, "blues", dtype=object), artists))
    grouped = compare(a, b).record()
    # Four groups differ, all in the same direction: p = 2 / 2^4.
    assert grouped["p_value"] == 0.125
    assert not grouped["distinct"]
    assert grouped["difference"] == independent["difference"] == -20
    assert grouped["difference_low"] < independent["difference_low"]
    assert grouped["a"]["high"] > independent["a"]["high"]
    assert (grouped["n_groups"], grouped["test"]) == (20, "exact sign-flip test over 20 groups")
