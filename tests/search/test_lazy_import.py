from __future__ import annotations

import doctest
from pathlib import Path

import search
from search.run import main
from search.settings import SearchSettings


def test_the_docstring_example_runs(ray_cluster: None, small_cache: Path, tmp_path: Path) -> None:
    names = {"cache": str(small_cache), "runs": str(tmp_path)}
    (example,) = doctest.DocTestFinder(recurse=False).find(search, "search", globs=names)
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, 6)


def test_settings_have_the_names_of_the_options() -> None:
    options = {parameter.name for parameter in main.params} - {"resume", "extend", "debug"}
    assert options == set(SearchSettings.model_fields)
