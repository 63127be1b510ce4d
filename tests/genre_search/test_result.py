"""The search from Python: names of options, and a real search in a running notebook kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import genre_search
from data.errors import SettingsError
from search.run import main
from search.storage.run_folder import RunFolder
from tests.support.rows import make_rows, write_cache
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
    command = CliRunner().invoke(main, ["--family", "features_mlp", *typed])
    assert command.exit_code == 2
    with pytest.raises(SettingsError) as refused:
        genre_search.run_search("features_mlp", **options)
    assert command.stderr.splitlines()[-1] == f"Error: {refused.value}"


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


@pytest.mark.slow
def test_a_search_in_a_running_notebook_kernel(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    cache = write_cache(tmp_path / "cache", make_rows(tracks=12), synthetic=True)
    runs = str(tmp_path / "runs")
    cells = [
        "import genre_search, results",
        f"result = genre_search.run_search('features_mlp', cache={str(cache)!r}, runs={runs!r},"
        " name='small', trials=3, max_epochs=3, scheduler='none', folds=2, max_concurrent=1)",
        "result",
        "figures = [result.plot_history(), result.plot_slices(), result.plot_curves()]\n"
        "print(len(figures), len(result.trials), result.best.name == f'small:{result.best.number}')",
        f"print(results.open_run('small', {runs!r}))",
        f"print(result.export({str(tmp_path / 'out')!r}).labels)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    output = notebook.cells[2].outputs[0]["data"]
    assert "<table" in output["text/html"]
    assert "SearchResult small: features_mlp, finished; 3 trials; best small:" in output["text/plain"]
    assert notebook.cells[3].outputs[0]["text"] == "3 3 True\n"
    assert "OpenedRun small" in notebook.cells[4].outputs[0]["text"]
