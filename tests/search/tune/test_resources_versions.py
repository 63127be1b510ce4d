"""A cluster with other versions, simulated by patching the versions that Ray reports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.error_lines import error_line
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_HEAD = """
import sys
import ray
ray._private.utils.compute_version_info = lambda: ("2.9.0", "3.12.1")
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
print(nodes.address, flush=True)
sys.stdin.read()
nodes.shutdown()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Address of a cluster that reports other versions."""
    with subprocess.Popen(
        [sys.executable, "-c", _HEAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the head did not start"
        yield address
        process.communicate()


def test_a_cluster_with_other_versions(address: str, small_cache: Path, tmp_path: Path) -> None:
    options = ["--family", "features_mlp", "--cache", str(small_cache), "--runs", str(tmp_path / "runs")]
    result = subprocess.run(
        [sys.executable, "-m", "search.run", "--address", address, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    error = error_line(result.stderr)
    assert f"--address {address}: the cluster has Ray 2.9.0 and Python 3.12.1, this " in error
    assert "install the same versions on all nodes" in error
    assert not (tmp_path / "runs").exists()
