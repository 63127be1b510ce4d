from __future__ import annotations

import subprocess
from pathlib import Path

import keras

from search.storage.provenance import git_revision, library_versions


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    completed = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return completed.stdout.strip()


def test_the_revision_is_that_of_the_project_and_marks_changed_files(tmp_path: Path) -> None:
    assert git_revision(tmp_path / "nowhere") is None
    assert git_revision(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_revision(tmp_path) == head
    # A package installed inside another repository has no revision of its own.
    assert git_revision(tmp_path / "inside") is None
    (tmp_path / "inside" / "file").write_text("2")
    assert git_revision(tmp_path) == f"{head}-dirty"


def test_versions_match_the_imported_libraries() -> None:
    assert library_versions()["keras"] == keras.__version__
