from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from results.report import main
from tests.support.browser import chromium, watched
from tests.support.runs import write_scores


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def page(made_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    result = run("first", "again", "--runs", str(made_runs), "--out", str(out))
    assert result.exit_code == 0, result.output
    return out


def test_the_report_is_one_file_with_all_sections(page: Path) -> None:
    text = page.read_text()
    assert [file.name for file in page.parent.iterdir()] == ["report.html"]
    for part in ("SYNTHETIC", "Leaderboard", "seed 0", "held out", "Most confident errors", "2 folds"):
        assert part in text
    assert "after correction for choosing among 3 trials" in text
    assert "No groups of tracks (artists, albums) are known" in text
    assert "Trials that failed" in text
    assert '<td class="left">ValueError: &lt;too wide&gt;</td>' in text
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in text
    assert text.count("plotly.js v") == 1
    assert "<script src" not in text
    assert '<link rel="stylesheet"' not in text


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_every_plot_is_drawn_without_an_error(page: Path, width: int, scheme: str) -> None:
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        errors = watched(opened)
        opened.goto(page.as_uri(), timeout=120_000)
        names = opened.locator(".plot").evaluate_all("all => all.map(plot => plot.id)")
        opened.wait_for_function(
            "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"
        )
        # Every plot has marks, not only axes.
        empty = opened.locator(".plot").evaluate_all(
            "all => all.filter(plot => !plot.querySelector('.point, .points path, .js-line, image'))"
            ".map(plot => plot.id)"
        )
        assert errors == []
        assert empty == []
        for section in ("run0", "run1"):
            for name in ("progress", "curves", "confusion", "genres"):
                assert f"{section}-{name}" in names
        assert "run0-parallel" in names
        assert "run0-slice-0" in names
        assert "all-1-progress" in names
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        opened.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == ("rgb(20, 23, 28)" if scheme == "light" else "rgb(245, 246, 248)")
        assert errors == []


def test_thousands_of_trials_keep_the_report_small(page: Path, tmp_path: Path) -> None:
    accuracies: list[float | None] = [0.3 + 0.0001 * number for number in range(5000)]
    write_scores(tmp_path, "many", accuracies)
    out = tmp_path / "many.html"
    result = run("many", "--runs", str(tmp_path), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert out.stat().st_size < page.stat().st_size + 400_000
    assert "is missing; it is written when a trial ends" in out.read_text()  # no predictions were stored


def test_names_are_escaped(tmp_path: Path) -> None:
    write_scores(tmp_path, "<img src=x onerror=alert(1)>", [0.5, 0.6])
    out = tmp_path / "out.html"
    result = run("<img src=x onerror=alert(1)>", "--runs", str(tmp_path), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "<img src=x" not in out.read_text()


def test_bad_input_is_one_line_and_writes_nothing(made_runs: Path, tmp_path: Path) -> None:
    write_scores(tmp_path / "runs", "young", [None, None])
    for arguments, message in (
        (("nobody", "--runs", str(made_runs)), "no run 'nobody'"),
        (("young", "--runs", str(tmp_path / "runs")), "run 'young': no trial has ended with a score"),
        (("first", "--runs", str(made_runs), "--out", str(tmp_path)), "this is a folder; name a file"),
    ):
        out = () if "--out" in arguments else ("--out", str(tmp_path / "out.html"))
        result = run(*arguments, *out)
        assert result.exit_code == 2
        (line,) = result.stderr.strip().splitlines()
        assert message in line
    assert not (tmp_path / "out.html").exists()
    assert run().exit_code == 2
