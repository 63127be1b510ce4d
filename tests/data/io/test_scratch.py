from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from data.errors import CacheError
from data.io.scratch import VARIABLE, scratch_folder


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"genre-search-{os.getuid()}"


def test_only_the_user_can_access_the_default_folder(default: Path) -> None:
    for _ in range(2):
        assert scratch_folder() == default
        assert default.stat().st_mode & 0o777 == 0o700
        # As in an earlier version.
        default.chmod(0o775)


def test_a_folder_of_another_user_is_refused(
    default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    default.symlink_to(elsewhere)
    with pytest.raises(CacheError, match=f"not this user's own folder; .* {VARIABLE}"):
        scratch_folder()
    default.unlink()
    default.mkdir()
    other = os.getuid() + 1
    default.rename(tmp_path / f"genre-search-{other}")
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(CacheError, match="not this user's own folder"):
        scratch_folder()


def test_the_folder_of_the_variable_is_used_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named"))
    assert scratch_folder() == tmp_path / "named"
    assert not (tmp_path / "named").exists()
