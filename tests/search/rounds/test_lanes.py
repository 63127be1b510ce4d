"""Families with and without GPUs on one Ray at the same time, until Ctrl-C, and resumed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.storage.search_record import read_record, run_of
from search.storage.study import open_study
from tests.support.lanes import FAMILIES
from tests.support.paths import ROOT


@pytest.mark.slow
def test_both_kinds_train_at_once_and_ctrl_c_ends_both(small_cache: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.lanes", str(small_cache), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["interrupted interrupted interrupted", "finished"]
    baselines = []
    for family in FAMILIES:
        study = open_study(run_of(tmp_path, "both", family))
        baselines.append(study.trials[0])
        # Each family was trained with its own configuration and model.
        run = run_of(tmp_path, "both", family)
        assert run.info().family == family
        assert run.trials()["status"].tolist() == ["COMPLETE", "COMPLETE"]
    starts = [trial.datetime_start for trial in baselines if trial.datetime_start is not None]
    ends = [trial.datetime_complete for trial in baselines if trial.datetime_complete is not None]
    assert max(starts) < min(ends)
    weak, strong = (run_of(tmp_path, "both", family).trials()["val_accuracy"].max() for family in FAMILIES)
    assert weak < strong
    # A resumed trial keeps its epochs.
    for family in FAMILIES:
        trials = run_of(tmp_path, "held", family).trials()
        assert trials["status"].tolist() == ["COMPLETE"]
        assert trials["epochs"].tolist() == [30]
    assert read_record(tmp_path, "held").status == "finished"
