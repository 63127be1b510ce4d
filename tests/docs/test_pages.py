"""The pages name files, commands, options, make targets and extras that exist."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.support.paths import ROOT

PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "benchmarks" / "README.md",
        *list((ROOT / "docs").rglob("*.md")),
    ]
)
SITE_PAGES = {"benchmarks.md", "changelog.md", "contributing.md"}
"""Pages that docs/hooks.py makes from files outside docs/."""
COMMAND = re.compile(r"python -m ((?:data|search|results)\.\w+)([^`\n|#]*)")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def commands_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """Module and arguments of each command of ours on a page."""
    for match in COMMAND.finditer(text.replace("\\\n", " ")):
        yield match[1], shlex.split(match[2].replace("...", " "))


@pages
def test_links_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert link in SITE_PAGES or (page.parent / link).exists(), link


@pages
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    for module, arguments in commands_of(page.read_text(encoding="utf-8")):
        command = importlib.import_module(module).main
        assert isinstance(command, click.Command)
        options = {
            option for parameter in command.params for option in parameter.opts + parameter.secondary_opts
        }
        shown = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert shown <= options | {"--help"}, (module, shown - options)


def test_commands_are_found_on_the_pages() -> None:
    modules = {module for page in PAGES for module, _ in commands_of(page.read_text(encoding="utf-8"))}
    assert {"data.prepare", "data.inspect", "search.run", "results.export", "results.serve"} <= modules


@pages
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)) | {"lock"}
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


@pages
def test_extras_exist(page: Path) -> None:
    extras = set(PROJECT["optional-dependencies"])
    for group in re.findall(r'pip install -e "\.\[([a-z,]+)\]"', page.read_text(encoding="utf-8")):
        assert set(group.split(",")) <= extras


def test_every_extra_for_users_is_described() -> None:
    described = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    for extra in PROJECT["optional-dependencies"].keys() - {"bench", "dev"}:
        assert f"`{extra}`" in described, extra


def test_every_command_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for package in ("data", "search", "results"):
        for file in sorted((ROOT / package).glob("*.py")):
            if "\n@click.command" in file.read_text(encoding="utf-8"):
                assert f":module: {package}.{file.stem}\n" in reference, file


def test_the_example_is_part_of_its_page() -> None:
    page = (ROOT / "docs" / "adding-a-family.md").read_text(encoding="utf-8")
    assert '\n--8<-- "docs/examples/features_linear.py"\n' in page


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation


def test_the_changelog_has_the_formats_of_the_code() -> None:
    from data.cache.format import FORMAT as CACHE_FORMAT
    from results.model.files import FORMAT as EXPORT_FORMAT
    from search.storage.run_info import FORMAT as RUN_FORMAT

    table = re.findall(
        r"^\| ([\w ,]+) \| .* \| (\d+) \|$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    formats = {name: int(number) for name, number in table}
    assert formats == {
        "cache": CACHE_FORMAT,
        "run": RUN_FORMAT,
        "export, single model or ensemble": EXPORT_FORMAT,
    }
