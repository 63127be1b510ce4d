from __future__ import annotations

from pathlib import Path

import pytest

from data.cache.cache import Cache
from data.errors import RunError
from results.evaluation.trials import named_trial
from results.ranking.comparison import compare
from tests.support.runs import make_run


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
