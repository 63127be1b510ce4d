"""The search from Python: names of options, and a real search in a running notebook kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import genre_search
from data.errors import RunError, SettingsError
from search.run import main
from search.storage.run_folder import RunFolder
from search.storage.search_record import SearchRecord, write_record
from tests.support.rows import make_rows, write_cache
from tests.support.runs import make_info, write_judgement, write_scores
from tests.support.softmax import Softmax

WEAK = ("weak_softmax:0", "weak_softmax:1")


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


@pytest.mark.parametrize(
    ("family", "options", "typed"),
    [
        ("all", {"max_epoch": 3}, ["--max-epoch", "3"]),
        ("all", {"resum": "x"}, ["--resum", "x"]),
        ("features_mlp,melspec_cnn", {"scheduler": "ahsa"}, ["--scheduler", "ahsa"]),
        (["features_mlp", "melspec_cnn"], {"time_budget": -1.0}, ["--time-budget", "-1"]),
        ("all", {"searcher": "grid"}, ["--searcher", "grid"]),
        (["features_mlp", "svm"], {}, []),
        (["svm"], {}, None),
        ([], {}, None),
    ],
)
def test_wrong_searches_over_several_families_give_the_line_of_the_command(
    family: str | list[str], options: dict[str, Any], typed: list[str] | None
) -> None:
    text = family if isinstance(family, str) else ",".join(family)
    with pytest.raises(SettingsError) as refused:
        genre_search.run_search(family, cache="nothing", **options)
    if typed is None:
        assert str(refused.value).startswith(f"--family {text}: ")
        return
    done = CliRunner().invoke(main, ["--family", text, "--cache", "nothing", *typed])
    assert done.exit_code == 2
    message = done.stderr.splitlines()[-1].removeprefix("Error: ")
    # The command may also suggest the two options that settings lack.
    assert str(refused.value).partition("(Did you mean")[0] == message.partition("(Did you mean")[0]


def test_the_family_is_required() -> None:
    with pytest.raises(SettingsError, match=r"--family is missing; the families are .*, or all"):
        genre_search.run_search()


def test_the_result_of_several_families_is_one(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    common = {"cache": str(small_cache), "max_epochs": 5, "max_concurrent": 2, "folds": 2}
    result = genre_search.run_search(
        ["weak_softmax", "softmax"], runs=str(tmp_path), name="pair", trials=2, **common
    )
    assert isinstance(result, genre_search.SearchResult)
    assert result.best.name.startswith("pair-softmax:")
    assert result.best_config == result.best.config
    assert result.trials["family"].value_counts().to_dict() == {"weak_softmax": 2, "softmax": 2}
    assert set(result.trials["name"]) == {f"pair-{end}" for end in ("softmax:0", "softmax:1", *WEAK)}
    board = result.leaderboard()
    assert board["name"].iloc[0] == result.best.name
    assert set(board["family"]) == {"weak_softmax", "softmax"}
    assert result.compare().b.name == "pair-softmax:0"
    assert result.compare("best", "pair-weak_softmax:best").test.difference > 0
    with pytest.raises(RunError, match="name one of pair-softmax:1, pair-weak_softmax:1"):
        result.trial(1)
    assert repr(result).endswith(f", finished; 4 trials; best {result.best.name}, 100.0 %>")
    assert "pair-weak_softmax:0" in result._repr_html_()
    assert "pair-weak_softmax" in result.report(tmp_path / "report.html").read_text()
    assert "pair-softmax" in result.plot_history().layout.title.text
    exported = result.export(tmp_path / "exported")
    assert exported.labels == result.best.info.classes
    # The card says among how many trials of both families the model was chosen.
    assert "selected this trial among 4" in (tmp_path / "exported" / "README.md").read_text()
    with pytest.raises(SettingsError, match="give --time-budget SECONDS, or --trials N per family"):
        result.extend()
    assert len(result.extend(1).trials) == 6
    with pytest.raises(RunError, match="--resume pair: the search is finished"):
        result.resume()


def test_a_family_that_never_had_a_turn_has_no_trials(tmp_path: Path) -> None:
    write_judgement(write_scores(tmp_path, "held-features_mlp", [0.6]), "t0", 60)
    waiting = RunFolder.at(tmp_path, "held-melspec_cnn")
    waiting.write_info(make_info("held-melspec_cnn", family="melspec_cnn", status="interrupted"))
    record = SearchRecord(
        name="held",
        families=["features_mlp", "melspec_cnn"],
        status="interrupted",
        trials=2,
        time_budget=None,
        created="2026-01-01T00:00:00+00:00",
    )
    write_record(tmp_path, record)
    result = genre_search.SearchResult("held", tmp_path)
    assert result.trials["name"].tolist() == ["held-features_mlp:0"]
    assert "interrupted; 1 trial; best held-features_mlp:0, 60.0 %" in repr(result)


def test_the_result_is_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(settings: Any) -> RunFolder:
        run = write_scores(tmp_path, settings.name, [0.5, 0.7])
        for number, right in enumerate((50, 70)):
            write_judgement(run, f"t{number}", right)
        return run

    monkeypatch.setattr("genre_search.result.search", search)
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
