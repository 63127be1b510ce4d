from __future__ import annotations

from pathlib import Path

import pytest

import spaces
from data.errors import SettingsError


def test_every_family_has_the_name_of_its_module() -> None:
    assert "features_mlp" in spaces.names()
    for name in spaces.names():
        assert spaces.get(name).name == name


def test_an_unknown_family_is_refused_with_the_known_names() -> None:
    with pytest.raises(SettingsError, match=r"--family jazz: unknown; the families are .*features_mlp"):
        spaces.get("jazz")


def test_a_module_whose_name_begins_with_an_underscore_is_not_a_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_shared.py").touch()
    (tmp_path / "mine.py").touch()
    monkeypatch.setattr(spaces, "__path__", [str(tmp_path)])
    assert spaces.names() == ["mine"]
