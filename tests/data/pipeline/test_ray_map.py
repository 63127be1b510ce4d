from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from data.errors import SettingsError
from data.pipeline.ray_map import cluster
from tests.support.paths import ROOT

_TIMED_OUT = (
    "The current node timed out during startup. This could happen because some of the raylet failed to"
    " startup or the GCS has become overloaded."
)
"""Ray's message on a busy machine."""


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            Exception(_TIMED_OUT),
            r"^Ray did not start within its time limit, in 2 attempts: this machine is too busy \(load"
            r" \d+\.\d on \d+ cores\); run the same command again when other programs have ended$",
        ),
        (TimeoutError("no socket"), "^Ray did not start within its time limit"),
        (
            OSError("No space left on device"),
            r"^Ray could not be started on this machine \(No space left on device\); check the free memory,"
            r" and the space in the folder for temporary files$",
        ),
    ],
)
def test_a_local_ray_that_does_not_start_is_reported(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
) -> None:
    attempts = []

    def fails(**options: object) -> None:
        attempts.append(options["address"])
        raise failure

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fails)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(SettingsError, match=message), cluster(2):
        pass
    assert attempts == ["local", "local"]


def test_a_cluster_that_refuses_this_program_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at auto")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuses)
    message = r"^--address auto: no Ray cluster accepts this program \(Failed .* set RAY_AUTH_MODE=token and"
    with pytest.raises(SettingsError, match=message), cluster(2, address="auto"):
        pass


def test_a_ray_that_starts_at_the_second_attempt_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def fails_once(**options: object) -> None:
        attempts.append(options["address"])
        if len(attempts) == 1:
            raise Exception("the node timed out")  # noqa: TRY002 - as Ray does

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fails_once)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with cluster(2):
        assert attempts == ["local", "local"]


_LISTENING = """
import contextlib, os
from pathlib import Path
from data.pipeline.ray_map import cluster
import search.api, search.plan, search.sampling.warm_start

def own_sockets():
    # All processes started from here, directly or not, have this environment.
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"LISTENING_TEST=yes" in (process / "environ").read_bytes():
                yield from (os.readlink(fd) for fd in (process / "fd").iterdir())

with cluster(workers=2):
    sockets = set(own_sockets())
    for kind in ("tcp", "tcp6"):
        for fields in map(str.split, Path("/proc/net", kind).read_text().splitlines()):
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                print(fields[1].partition(":")[0])
"""


@pytest.mark.slow
def test_a_local_ray_listens_only_on_loopback_and_starts_with_a_long_tmpdir(
    tmp_path: Path,
) -> None:
    temporary = tmp_path / ("x" * 100)
    temporary.mkdir()
    environment = {**os.environ, "LISTENING_TEST": "yes", "TMPDIR": str(temporary)}
    result = subprocess.run(
        [sys.executable, "-c", _LISTENING],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    addresses = result.stdout.split()
    assert len(addresses) > 3
    # 127.0.0.1 in the notation of the kernel, also inside an IPv6 address.
    assert {address[-8:] for address in addresses} == {"0100007F"}
