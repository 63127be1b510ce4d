from __future__ import annotations

import doctest
from pathlib import Path

import search
from search.run import main
from search.settings import SearchSettings


def test_the_example_runs(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    given = {"cache": str(small_cache), "runs": str(tmp_path)}
    (example,) = doctest.DocTestFinder(recurse=False).find(search, "search", globs=given)
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, 6)


def test_settings_are_named_as_the_options() -> None:
    options = {parameter.name for parameter in main.params} - {"resume", "extend", "debug"}
    assert options == set(SearchSettings.model_fields)
