from __future__ import annotations

import re
import tomllib

import pytest

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = {
    "requirements.lock": ("search", "onnx"),
    "requirements-predict.lock": ("serve",),
    "requirements-dev.lock": ("dev",),
    "requirements-bench.lock": ("bench",),
}
"""The extras that each lock file installs."""


def locked(name: str) -> dict[str, str]:
    """Version of each distribution in a lock file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines)


def required(*extras: str) -> set[str]:
    """Distributions that the package with these extras requires directly."""
    requirements = list(PROJECT["dependencies"])
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            nested = re.fullmatch(r"genre-search\[(.*)\]", requirement)
            requirements += required(*nested[1].split(",")) if nested else [requirement]
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_its_extras_require_in_the_versions_of_the_tests(name: str) -> None:
    versions, tested = locked(name), locked("requirements-dev.lock")
    assert required(*LOCKS[name]) <= versions.keys()
    assert {key: tested[key] for key in versions if key in tested} == {
        key: version for key, version in versions.items() if key in tested
    }


def test_predicting_needs_no_library_of_the_search() -> None:
    assert not locked("requirements-predict.lock").keys() & (required("search") - required("serve"))
