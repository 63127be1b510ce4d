"""Ensembles that cannot be exported; those that can are tested with the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.dataset.splits import Split
from data.errors import RunError
from results.evaluation.trials import Trial, find_trial
from results.exporting.ensemble_writer import export_ensemble
from search.storage.run_info import CacheRef
from tests.support.runs import write_scores


def trial(runs: Path, name: str, *, fingerprint: str = "0", locked: int = 0) -> Trial:
    """The best trial of a run on a cache, whose split locks one of four tracks."""
    common: dict[str, Any] = {"source": "audio", "synthetic": False, "parameters": {}}
    cache = CacheRef(uri=f"cache/{fingerprint}", fingerprint=fingerprint * 64, **common)
    run = write_scores(runs, name, [0.5, 0.6], cache=cache)
    fold = np.zeros(4, dtype=np.int64)
    fold[locked] = -1
    tracks = np.array([f"t{number}" for number in range(4)], dtype=object)
    run.write_split(Split(tracks, fold, np.full(4, "blues", dtype=object), tracks))
    return find_trial(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fingerprint": "1"},
            r"on the same data, but one:1 is on cache/0 \(00000000\) and two:1 on cache/1 \(11111111\);",
        ),
        ({"locked": 1}, "same held-out test set, but those of one:1 and two:1 differ; leave one of them out"),
    ],
)
def test_members_on_other_data_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    members = [trial(tmp_path, "one"), trial(tmp_path, "two", **changes)]
    with pytest.raises(RunError, match=message):
        export_ensemble(members, tmp_path / "out", runs=str(tmp_path), among=4)
    assert not (tmp_path / "out").exists()
