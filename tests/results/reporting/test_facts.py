from __future__ import annotations

from pathlib import Path

import pytest

from results.reporting.facts import facts
from results.reporting.run_data import RunData
from search.storage.run_folder import RunFolder
from tests.support.runs import write_scores


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (
            ["/home/user/genre-search/search/run.py", "--name", "my run"],
            "python -m search.run --name 'my run'",
        ),
        (["/home/user/.venv/bin/genre-search", "search"], "genre-search search"),
        (["night.py"], "night.py"),
        ([], ""),
    ],
)
def test_the_command_is_shown_as_typed(tmp_path: Path, recorded: list[str], shown: str) -> None:
    write_scores(tmp_path, "first", [0.5, 0.75])
    run = RunFolder.at(tmp_path, "first")
    run.write_info(run.info().model_copy(update={"command_line": recorded}))
    described = dict(facts(RunData.read(run)))
    assert described["command"] == shown
    assert "/home/user" not in str(described)
