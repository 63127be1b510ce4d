from __future__ import annotations

from pathlib import Path

import numpy as np

from search.storage.checkpoint import Checkpoint, read_checkpoint, tidy_checkpoints, write_checkpoint
from search.storage.run_folder import RunFolder


def test_only_checkpoints_of_unfinished_trials_are_kept(tmp_path: Path) -> None:
    run = RunFolder.at(tmp_path, "run")
    for number in (1, 2, 11):
        write_checkpoint(run, number, Checkpoint({"epoch": number}, {"w": np.arange(number)}))
    folder = run.folder.local / "checkpoints"
    (folder / ".tmp-of-a-killed-writer").write_bytes(b"")
    tidy_checkpoints(run, [11])
    assert [path.name for path in folder.iterdir()] == ["11.npz"]
    kept = read_checkpoint(run, 11)
    assert kept is not None
    assert kept.progress == {"epoch": 11}
    assert read_checkpoint(run, 1) is None
    tidy_checkpoints(run, [])
    assert not folder.exists()
