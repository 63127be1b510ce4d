from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner

from results.dashboard import main
from search.storage.run_folder import RunFolder
from tests.support.browser import chromium
from tests.support.paths import ROOT
from tests.support.runs import make_info

pytestmark = pytest.mark.slow


@contextmanager
def dashboard(runs: Path) -> Iterator[str]:
    """Start a dashboard on a run with a study of three trials and a running one; yield its address."""
    RunFolder.at(runs, "a").write_info(make_info("a"))
    journal = optuna.storages.journal.JournalFileBackend(str(runs / "a" / "study.journal"))
    study = optuna.create_study(study_name="search", storage=optuna.storages.JournalStorage(journal))
    for value in (0.5, 0.6, 0.7):
        trial = study.ask()
        trial.suggest_float("rate", 0, 1)
        trial.suggest_int("units", 8, 64)
        study.tell(trial, value)
    study.ask()
    command = [sys.executable, "-u", "-m", "results.dashboard", "a", "--runs", str(runs), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" on ")[1].split(" ")[0]
        finally:
            process.terminate()


def test_it_shows_the_study_of_a_run_and_refuses_to_change_it(tmp_path: Path) -> None:
    with dashboard(tmp_path) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/dashboard/", timeout=60) as page:
            assert page.status == 200
            assert "Optuna Dashboard" in page.read().decode()
        before = (tmp_path / "a" / "study.journal").read_bytes()
        renamed = urllib.request.Request(
            f"{address}/api/studies/0/rename",
            data=b'{"study_name": "mine"}',
            headers={"Content-Type": "application/json"},
        )
        for change in (urllib.request.Request(f"{address}/api/studies/0", method="DELETE"), renamed):
            with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                urllib.request.urlopen(change, timeout=60)
            assert "read-only here" in json.loads(refused.value.read())["reason"]
        with urllib.request.urlopen(f"{address}/api/studies", timeout=60) as studies:
            (study,) = json.loads(studies.read())["study_summaries"]
        assert study["study_name"] == "a"
        assert (tmp_path / "a" / "study.journal").read_bytes() == before


def test_everything_that_reads_works(tmp_path: Path) -> None:
    with dashboard(tmp_path) as address:
        with urllib.request.urlopen(f"{address}/api/studies", timeout=60) as studies:
            (number,) = (study["study_id"] for study in json.loads(studies.read())["study_summaries"])
        plots = ("contour", "slice", "parallel_coordinate", "rank", "edf", "timeline")
        paths = [f"/api/studies/{number}", f"/api/studies/{number}/param_importances"]
        paths += [f"/api/studies/{number}/plot/{plot}" for plot in plots]
        paths += [
            f"/csv/{number}",
            "/api/meta",
            "/static/read-only.js",
            "/static/bundle.js",
            "/dashboard/studies/0",
        ]
        for path in paths:
            request = urllib.request.Request(address + path, headers={"Accept-Encoding": "identity"})
            with urllib.request.urlopen(request, timeout=60) as response:
                content = response.read()
            assert response.status == 200
            assert content
        with urllib.request.urlopen(f"{address}/api/studies/{number}", timeout=60) as detail:
            study = json.loads(detail.read())
        assert (study["name"], study["objective_names"]) == ("a", ["validation accuracy"])


def test_what_cannot_work_is_not_offered(tmp_path: Path) -> None:
    with dashboard(tmp_path) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/dashboard/")
        page.set_default_timeout(120_000)
        page.get_by_text("0. a").wait_for()
        page.get_by_role("button", name="Reload").wait_for()
        for name in ("Create", "Compare", "rename study", "delete study"):
            offers = page.get_by_role("button", name=name, exact=True).all()
            offers += page.get_by_role("link", name=name, exact=True).all()
            assert not any(offer.is_visible() for offer in offers), name
        for view in ("trials", "graph", ""):
            page.goto(f"{address}/dashboard/studies/0/{view}")
            page.wait_for_load_state("networkidle")
            assert not any(note.is_visible() for note in page.get_by_text("Note", exact=True).all())
            fail = page.get_by_role("button", name="Fail Trial")
            assert not any(button.is_visible() for button in fail.all())


def test_requests_to_other_host_names_are_refused(tmp_path: Path) -> None:
    with dashboard(tmp_path) as address:
        port = address.rpartition(":")[2]
        for host, status in (("localhost", 200), (f"LOCALHOST:{port}", 200), (f"evil.example:{port}", 403)):
            request = urllib.request.Request(f"{address}/api/studies", headers={"Host": host})
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    response_status = response.status
            except urllib.error.HTTPError as refused:
                response_status = refused.code
            assert response_status == status


def test_bad_input_is_reported_in_one_line(tmp_path: Path) -> None:
    RunFolder.at(tmp_path, "young").write_info(make_info("young"))
    for name, message in (
        ("nobody", "no run 'nobody'"),
        ("young", "study.journal is missing; has its search started?"),
    ):
        result = CliRunner().invoke(main, [name, "--runs", str(tmp_path), "--port", "0"])
        assert result.exit_code == 2
        (line,) = result.stderr.strip().splitlines()
        assert message in line
