"""The search from Python: names of options, and the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import genre_search
from data.errors import SettingsError
from search.run import main
from search.storage.run_folder import RunFolder
from tests.support.runs import write_judgement, write_scores


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        ({"max_epoch": 3}, ["--max-epoch", "3"]),
        ({"scheduler": "ahsa"}, ["--scheduler", "ahsa"]),
        ({"trials": 0}, ["--trials", "0"]),
    ],
)
def test_wrong_options_give_the_line_of_the_command(options: dict[str, Any], typed: list[str]) -> None:
    done = CliRunner().invoke(main, ["--family", "features_mlp", *typed])
    assert done.exit_code == 2
    with pytest.raises(SettingsError) as refused:
        genre_search.run_search("features_mlp", **options)
    assert done.stderr.splitlines()[-1] == f"Error: {refused.value}"


def test_the_family_is_required() -> None:
    with pytest.raises(SettingsError, match="--family is missing; the families are"):
        genre_search.run_search()


def test_the_result_is_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(settings: Any) -> RunFolder:
        run = write_scores(tmp_path, settings.name, [0.5, 0.7])
        for number, right in enumerate((50, 70)):
            write_judgement(run, f"t{number}", right)
        return run

    monkeypatch.setattr("search.api.run_search", search)
    result = genre_search.run_search("features_mlp", cache="c", name="mine", runs=str(tmp_path))
    assert isinstance(result, genre_search.SearchResult)
    assert result.best.name == "mine:1"
    assert result.compare().test.n == 100
