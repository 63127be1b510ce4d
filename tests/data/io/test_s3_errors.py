from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data import inspect
from data.io.folder import Folder
from data.io.s3_errors import bucket_failure
from results import leaderboard
from search.run import main as search
from tests.support.error_lines import error_line

_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class _Refusing(BaseHTTPRequestHandler):
    """Respond like S3 to a user without permission."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", str(len(_DENIED)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(_DENIED)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def refusing(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket that refuses all requests."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        yield "s3://closed"
        server.shutdown()
        thread.join()


def assert_refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2, result.output
    assert error_line(result.stderr).startswith("Error: ")
    for text in texts:
        assert text in result.stderr


def commands(uri: str, small_cache: Path) -> list[Result]:
    """Run commands on a bucket: read a cache, read runs, write a run."""
    options = ["--family", "features_mlp", "--cache", str(small_cache), "--trials", "1"]
    return [
        CliRunner().invoke(inspect.main, ["--cache", f"{uri}/cache"]),
        CliRunner().invoke(leaderboard.main, ["--runs", f"{uri}/runs"]),
        CliRunner().invoke(search, [*options, "--runs", f"{uri}/runs"]),
    ]


def test_a_bucket_that_refuses(refusing: str, small_cache: Path) -> None:
    for result in commands(refusing, small_cache):
        assert_refused(
            result, "s3://closed: refused (ACCESS_DENIED at ", "check that these credentials can read"
        )


def test_no_credentials(refusing: str, small_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for result in commands(refusing, small_cache):
        assert_refused(result, "s3://closed: refused (", "there are no credentials; set AWS_ACCESS_KEY_ID")


def test_a_missing_bucket(bucket: str) -> None:
    with pytest.raises(OSError, match="nowhere") as caught:
        Folder.at("s3://nowhere/runs").write("file", b"")
    assert str(bucket_failure(caught.value)) == (
        "s3://nowhere: no such bucket; create it, or correct its name"
    )


def test_an_unreachable_bucket() -> None:
    message = (
        "When reading key 'x' in bucket 'b': AWS Error NETWORK_CONNECTION during HeadObject operation: no"
    )
    assert str(bucket_failure(OSError(message))).startswith("s3://b: no answer (NETWORK_CONNECTION at Head")


def test_other_errors_are_not_explained() -> None:
    assert bucket_failure(OSError(28, "No space left on device")) is None
