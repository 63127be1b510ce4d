from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import optuna
from click.testing import CliRunner

from results.dashboard import main
from spaces.training.run_folder import RunFolder
from tests.results.runs import make_info

ROOT = Path(__file__).parents[2]


def test_it_shows_the_study_of_a_run(tmp_path: Path) -> None:
    run = RunFolder.at(tmp_path, "a")
    run.write_info(make_info("a"))
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "a" / "study.journal"))
    study = optuna.create_study(study_name="search", storage=optuna.storages.JournalStorage(journal))
    study.tell(study.ask(), 0.5)
    command = [sys.executable, "-u", "-m", "results.dashboard", "a", "--runs", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = line.split(" on ")[1].split(" ")[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/dashboard/", timeout=60) as page:
                assert page.status == 200
                assert "Optuna Dashboard" in page.read().decode()
            with urllib.request.urlopen(f"{address}/api/studies", timeout=60) as studies:
                assert '"search"' in studies.read().decode()
        finally:
            process.terminate()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    RunFolder.at(tmp_path, "young").write_info(make_info("young"))
    for name, told in (
        ("nobody", "no run 'nobody'"),
        ("young", "study.journal is missing; has its search begun?"),
    ):
        done = CliRunner().invoke(main, [name, "--runs", str(tmp_path), "--port", "0"])
        assert done.exit_code == 2
        (line,) = done.stderr.strip().splitlines()
        assert told in line
