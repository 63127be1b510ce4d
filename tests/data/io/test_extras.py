from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions

import pytest

from data.errors import SettingsError
from data.io.extras import EXTRAS, check_installed, missing_modules
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(requirement: str) -> str:
    """Name of a distribution in canonical form, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ]", requirement)[0]).lower()


@pytest.mark.parametrize("extra", [extra for extra in EXTRAS if extra != "gp"])
def test_the_modules_of_an_extra_are_those_that_it_installs(extra: str) -> None:
    requirements = PROJECT["optional-dependencies"][extra]
    installed = {canonical(name) for name in requirements} - {"genre-search"}
    distributions = packages_distributions()
    modules = {canonical(name) for module in EXTRAS[extra] for name in distributions[module]}
    # Two distributions may install files into one module; each required one must be checked.
    assert installed <= modules
    assert all(installed & {canonical(name) for name in distributions[module]} for module in EXTRAS[extra])


def test_many_missing_modules_are_summarised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert missing_modules("search") == list(EXTRAS["search"])
    with pytest.raises(SettingsError) as caught:
        check_installed("search")
    others = len(EXTRAS["search"]) - 3
    assert str(caught.value) == (
        f"tensorflow, ray, optuna and {others} others are not installed;"
        " run: pip install 'genre-search[search]'"
    )
    with pytest.raises(SettingsError, match=r"^--option: pandas not installed; run"):
        check_installed("search", option="--option", modules=("pandas",))
