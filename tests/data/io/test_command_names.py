from __future__ import annotations

import click
from click.testing import CliRunner

from data.io.command_names import command_name


def shown() -> None:
    for module in ("data.prepare", "search.run", "results.leaderboard"):
        click.echo(command_name(module))


def test_python_code_gets_the_name_that_works_everywhere() -> None:
    assert command_name("data.prepare") == "python -m data.prepare"


def test_a_command_started_by_python_names_its_siblings_alike() -> None:
    lines = CliRunner().invoke(click.command()(shown), prog_name="python -m data.inspect").output.splitlines()
    assert lines == ["python -m data.prepare", "python -m search.run", "python -m results.leaderboard"]


def test_a_group_started_by_python_names_its_siblings_alike() -> None:
    group = click.Group("main", commands=[click.Command("list", callback=shown)])
    lines = CliRunner().invoke(group, ["list"], prog_name="python -m results.runs").output.splitlines()
    assert lines == ["python -m data.prepare", "python -m search.run", "python -m results.leaderboard"]


def test_a_command_of_the_group_names_its_siblings_alike() -> None:
    group = click.Group("genre-search", commands=[click.Command("inspect", callback=shown)])
    lines = CliRunner().invoke(group, ["inspect"], prog_name="genre-search").output.splitlines()
    assert lines == ["genre-search prepare", "genre-search search", "genre-search leaderboard"]
