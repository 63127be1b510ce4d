from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soundfile
from click.testing import CliRunner, Result

from results.report import main
from search.storage.run_folder import RunFolder
from tests.support.audible import audible_run
from tests.support.axe import SCREENS, violations
from tests.support.browser import chromium, watched
from tests.support.runs import write_scores
from tests.support.waiting import wait_until


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def page(made_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    result = run("first", "again", "--runs", str(made_runs), "--out", str(out))
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on audio files, and its report."""
    folder = tmp_path_factory.mktemp("heard")
    audible_run(folder)
    done = run("heard", "--runs", str(folder / "runs"), "--out", str(folder / "report.html"))
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


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
    assert text.count("plotly.js (basic") == 1
    assert "<script src" not in text
    assert '<link rel="stylesheet"' not in text


def test_the_report_opens_with_the_answer(heard: Path) -> None:
    text = (heard / "report.html").read_text()
    body = text.partition("<body>")[2].partition("<script>")[0]
    title = re.search(r"<h1>(.*)</h1>", body)
    assert title is not None
    best = RunFolder.at(heard / "runs", "heard").trials()["val_accuracy"].max()
    assert f"it recognises {100 * best:.1f} % of 24 tracks; expect " in title[1]
    assert "; the BASELINE reaches" in title[1]
    # The picture has a row for the winner, for the corrected score and for the BASELINE, in this order.
    assert re.findall(r'class="mark (\w+)"', body) == ["winner", "corrected", "baseline", "axis"]
    assert body.count('<tr class="winner">') == body.count('<tr class="baseline">') == 1
    # What is the same in all rows is said once.
    assert '<th scope="col" class="left">family</th>' not in body
    assert "family: features_mlp" in body
    before_the_end = body.partition("How it was made")[0]
    assert "0000000" not in before_the_end
    assert "5555555" not in before_the_end
    assert "aaaaaaa" not in before_the_end


def test_mistakes_can_be_heard_and_seen(heard: Path) -> None:
    text = (heard / "report.html").read_text()
    sounds = re.findall(r'<audio controls preload="none" src="data:audio/mpeg;base64,([^"]+)"', text)
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="Spectrogram of genre', text)
    assert len(sounds) == len(pictures) >= 6
    y, rate = soundfile.read(io.BytesIO(base64.b64decode(sounds[0])))
    assert len(y) / rate == pytest.approx(1.5, abs=0.1)
    assert " taken for <b>" in text


def test_a_report_without_clips_is_small(heard: Path, tmp_path: Path) -> None:
    out = tmp_path / "silent.html"
    done = run("heard", "--runs", str(heard / "runs"), "--out", str(out), "--audio", "none")
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert "<audio" not in text
    assert "nothing to listen to" in text
    assert out.stat().st_size < 2_000_000


def test_several_runs_share_a_figure_and_their_facts(page: Path) -> None:
    text = page.read_text()
    assert text.count("<h2>Best so far</h2>") == 1
    assert text.count("<dt>versions</dt>") == text.count("<dt>data</dt>") == 1
    assert text.count("The same for all runs") == 1
    assert text.count("Out-of-fold predictions:") == 1
    progress = text.partition('data-for="all-1-progress">')[2].partition("</script>")[0]
    names = [trace["name"] for trace in json.loads(progress)["data"] if trace["mode"] == "lines"]
    assert len(names) == 2
    assert {name.partition(",")[0] for name in names} == {"first", "again"}


def test_a_run_without_a_score_is_named(made_runs: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(made_runs / "first", tmp_path / "runs" / "first")).parent
    write_scores(runs, "young", [None])
    done = run("first", "young", "--runs", str(runs), "--out", str(tmp_path / "out.html"))
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out.html").read_text()
    assert "Not shown: young: run &#39;young&#39;: no trial has ended with a score" in text


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_every_plot_is_drawn_without_an_error(
    browser: Any, heard: Path, page: Path, width: int, scheme: str
) -> None:
    names: list[str] = []
    for path in (heard / "report.html", page):
        opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        errors = watched(opened)
        opened.goto(path.as_uri(), timeout=120_000)
        opened.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        names += opened.locator(".plot").evaluate_all("all => all.map(plot => plot.id)")
        drawn = "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"
        wait_until(partial(opened.evaluate, drawn), what="all plots are drawn")
        # Every plot has marks, not only axes.
        empty = opened.locator(".plot").evaluate_all(
            "all => all.filter(plot => !plot.querySelector('.point, .points path, .js-line, image'))"
            ".map(plot => plot.id)"
        )
        assert errors == []
        assert empty == []
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        opened.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == ("rgb(20, 23, 28)" if scheme == "light" else "rgb(245, 246, 248)")
        assert errors == []
        opened.close()
    expected = ["progress", "curves", "importance", "parallel", "slice-0", "pair-0"]
    assert {f"run0-{name}" for name in expected} <= set(names)
    assert {"all-1-progress", "run0-curves", "run1-curves"} <= set(names)


@pytest.mark.slow
def test_a_mistake_can_be_played(browser: Any, heard: Path) -> None:
    opened = browser.new_page(offline=True)
    opened.goto((heard / "report.html").as_uri(), timeout=120_000)
    opened.evaluate("document.querySelector('audio').play()")
    playing = "document.querySelector('audio').currentTime > 0.2"
    wait_until(lambda: opened.evaluate(playing), what="the clip is playing")
    opened.close()


@pytest.mark.slow
def test_the_reports_are_accessible(browser: Any, heard: Path, page: Path) -> None:
    for path, screens in ((heard / "report.html", SCREENS), (page, SCREENS[-1:])):
        opened = browser.new_page(offline=True)
        opened.goto(path.as_uri(), timeout=120_000)
        opened.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        assert violations(opened, screens) == []
        opened.close()


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
