from __future__ import annotations

import shlex
from pathlib import Path

from search.storage.run_folder import RunFolder


def test_a_run_as_typed_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    assert RunFolder.at("runs", "night").typed == "night"
    run = RunFolder.at(tmp_path / "a & b #1", "rock & roll")
    assert shlex.split(run.typed) == ["rock & roll", "--runs", str(tmp_path / "a & b #1")]
