"""Files that a worker process leaves behind when Ray ends it without a clean exit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import python
from tests.support.tensors import write_tensor_cache

_TRIAL = """
import os, tempfile
tempfile.tempdir = {folder!r}
import spaces
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task
family = spaces.get({name!r})
rows = Cache.open({cache!r}).rows(family.reads)
task = search_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.0, seed=0))
config = {{**family.baseline(2), **{small!r}}}
family.learner(config, task, seed=0).run_epoch(0)
print("trained", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "small"), [("features_mlp", {}), ("melspec_cnn", {"blocks": 1, "filters": 4, "dense": 8})]
)
def test_a_trial_leaves_no_temporary_file(name: str, small: dict[str, int], tmp_path: Path) -> None:
    cache = write_tensor_cache(tmp_path / "cache")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = python(_TRIAL.format(folder=str(temporary), name=name, cache=str(cache), small=small))
    assert process.stdout == "trained\n", process.stderr
    assert not list(temporary.iterdir())
