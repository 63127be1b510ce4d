"""Without the libraries of the extra ``search``, exports are used and every other command names the extra."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import results
from genre_search.cli import main
from tests.support.light import light_python

pytestmark = pytest.mark.slow

HEAVY = ("scipy.signal", "scipy.stats", "scipy.ndimage")
"""Modules that take long to import, which the first answer must not wait for."""


def test_an_export_predicts(onnx_exported: Path, song: Path) -> None:
    code = (
        "from results.predict import main\n"
        f"main([{str(onnx_exported)!r}, {str(song)!r}, '--json'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = light_python(code)
    assert done.returncode == 0, done.stderr
    expected = results.load(onnx_exported).predict(song)
    assert json.loads(done.stdout)["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    assert done.stderr.splitlines() == ["This model was trained on SYNTHETIC music.", "[]"]


def test_every_command_shows_its_help_and_names_the_extra_that_it_needs() -> None:
    commands = [name for name in main.list_commands(None) if name not in ("predict", "serve")]
    code = (
        "import json\n"
        "from click.testing import CliRunner\n"
        "from genre_search.cli import main\n"
        "answers = {}\n"
        f"for name in {commands!r}:\n"
        "    line = [name, 'list'] if name == 'runs' else [name]\n"
        "    shown = CliRunner().invoke(main, [*line, '--help'])\n"
        "    done = CliRunner().invoke(main, line)\n"
        "    answers[name] = [shown.exit_code, done.exit_code, done.output]\n"
        "print(json.dumps(answers))\n"
    )
    done = light_python(code)
    assert done.returncode == 0, done.stderr
    for name, (help_status, status, output) in json.loads(done.stdout).items():
        assert (help_status, status) == (0, 2), (name, output)
        (line,) = output.splitlines()
        assert line.startswith("Error: ")
        assert f"genre-search[{'dashboard' if name == 'dashboard' else 'search'}]" in line, name


def test_functions_name_the_extra_that_they_need() -> None:
    code = (
        "import results, search, genre_search\n"
        "calls = (lambda: results.open_run('x'), lambda: search.run_search, lambda: search.search_families,"
        " lambda: genre_search.run_search('features_mlp'))\n"
        "for call in calls:\n"
        "    try:\n"
        "        call()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    done = light_python(code)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert all(line.startswith("SettingsError tensorflow, ray, optuna and ") for line in lines)
