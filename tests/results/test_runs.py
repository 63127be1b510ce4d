from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from results.runs import main
from search.storage.lock import claimed
from search.storage.run_folder import RunFolder
from tests.support.runs import write_scores


def run(*arguments: object, answer: str = "") -> Result:
    return CliRunner().invoke(main, [str(word) for word in arguments], input=answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    write_scores(runs, "first", [0.5, 0.75, None])
    seen = {"run": "first", "trials": 2, "configurations": [], "test_tracks_seen": 0}
    write_scores(runs, "second", [0.7], warm_start=seen)
    return runs


def test_the_list_shows_scores_sizes_and_dependents(folder: Path) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text('{"format": 99}')
    result = run("list", "--runs", folder)
    assert result.exit_code == 0, result.output
    broken, first, second = result.stdout.splitlines()[1:]
    assert broken.split()[:2] == ["broken", "unreadable"]
    assert first.split()[:6] == ["first", "features_mlp", "finished", "3", "75.0", "%"]
    assert first.split()[-1] == "second"
    assert second.split()[:6] == ["second", "features_mlp", "finished", "1", "70.0", "%"]
    assert "format 99" in result.stderr
    assert run("list", "--runs", folder / "nothing").exit_code == 2


def test_the_help_has_no_shortened_sentences() -> None:
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


def test_a_run_is_renamed_and_its_dependents_follow(folder: Path) -> None:
    result = run("rename", "first", "start", "--runs", folder)
    assert result.exit_code == 0, result.output
    renamed = RunFolder.at(folder, "start")
    assert renamed.info().name == "start"
    assert len(renamed.trials()) == 3
    assert not (folder / "first").exists()
    warm_start = RunFolder.at(folder, "second").info().warm_start
    assert warm_start is not None
    assert (warm_start["run"], warm_start["trials"]) == ("start", 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("second", "exists already; choose another name\n"),
        ("a:4", "without slash or colon"),
        ("best", "reserved for the best of all runs"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_line(folder: Path, name: str, message: str) -> None:
    result = run("rename", "first", name, "--runs", folder)
    assert result.exit_code == 2
    assert message in result.stderr
    assert RunFolder.at(folder, "first").info().name == "first"


def test_nothing_is_deleted_without_confirmation(folder: Path) -> None:
    result = run("delete", "first", "--runs", folder, answer="n\n")
    assert result.exit_code == 1
    assert "first: 3 trials, 0.0 MB, warm-started second" in result.stdout
    assert (folder / "first").is_dir()
    result = run("delete", "first", "second", "--runs", folder, answer="y\n")
    assert result.exit_code == 0, result.output
    assert "Delete 2 runs?" in result.stdout
    assert list(folder.iterdir()) == []


def test_a_run_in_use_is_kept(folder: Path) -> None:
    with claimed(RunFolder.at(folder, "first"), new=False):
        for arguments in (("delete", "first", "--yes"), ("rename", "first", "start")):
            result = run(*arguments, "--runs", folder)
            assert result.exit_code == 2
            assert "another process is searching" in result.stderr
    assert RunFolder.at(folder, "first").info().name == "first"


def test_an_archive_holds_the_whole_run_and_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    before = {
        path.relative_to(folder): path.read_bytes()
        for path in (folder / "first").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    result = run("archive", "first", "--runs", folder, "--to", tmp_path / "kept", "--delete", "--yes")
    assert result.exit_code == 0, result.output
    assert not (folder / "first").exists()
    with tarfile.open(tmp_path / "kept" / "first.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    assert {path: (folder / path).read_bytes() for path in before} == before
    again = run("archive", "first", "--runs", folder, "--to", tmp_path / "kept")
    assert again.exit_code == 2
    assert "exists already and is not replaced" in again.stderr
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["first.tar.gz"]


def test_unknown_runs_and_buckets_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for arguments, message in (
        (("delete", "third", "--runs", folder), "no run 'third'"),
        (("delete", "first", "--runs", "s3://bucket/runs"), "runs in a bucket are only listed"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert message in result.stderr
