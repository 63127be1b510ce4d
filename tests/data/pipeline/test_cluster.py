from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.collection import make_collection
from tests.support.paths import ROOT
from tests.support.preparing import assert_same

pytestmark = pytest.mark.slow

_NODES = """
import subprocess, sys
import ray
from ray.cluster_utils import Cluster
from tests.support.waiting import wait_until

hidden = sys.argv[1]
nodes = Cluster()
nodes.add_node(num_cpus=1, include_dashboard=False)
nodes.add_node(num_cpus=1)
nodes.wait_for_nodes(timeout=240)
count = 2
# A third node, which has another disk at one path; needs root.
command = f"mount -t tmpfs tmpfs {hidden} && exec {sys.executable} -m ray.scripts.scripts start"
command += f" --address={nodes.address} --num-cpus=1 --block"
third = None
try:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0:
        third = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", command],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        count = 3
    ray.init(nodes.address, logging_level="error", log_to_driver=False)
    wait_until(
        lambda: sum(node["Alive"] for node in ray.nodes()) == count, what=f"{count} nodes", alive=third
    )
    ray.shutdown()
    print(nodes.address, count, flush=True)
    sys.stdin.read()
finally:
    if third is not None:
        third.terminate()
        third.wait()
    nodes.shutdown()
"""


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one node does not see."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[tuple[str, int]]:
    """Address and number of nodes of a cluster of real Ray nodes, in processes of their own."""
    command = [sys.executable, "-c", _NODES, str(hidden)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line, "the cluster did not start"
        yield line[0], int(line[1])
        process.communicate()


def prepare(audio: Path, cache: Path, cluster: tuple[str, int]) -> subprocess.CompletedProcess[str]:
    """Prepare on a cluster, where each node gets a batch."""
    address, count = cluster
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.support.together", str(count), folder]
        return subprocess.run(
            [*command, "--audio", str(audio), "--cache", str(cache), "--address", address],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


def test_a_cluster_shares_the_work_and_gives_the_same_cache(tmp_path: Path, cluster: tuple[str, int]) -> None:
    audio = make_collection(tmp_path / "audio", tracks=25, seconds=5)
    there = prepare(audio, tmp_path / "there", cluster)
    assert there.returncode == 0, there.stderr
    assert f"50 of 50 files analysed by {cluster[1]} nodes" in there.stdout.replace("\n", " ")
    local = [sys.executable, "-m", "data.prepare", "--audio", audio, "--cache", tmp_path / "here"]
    subprocess.run([*local, "--workers", "1"], check=True, capture_output=True)
    assert_same(tmp_path / "there", tmp_path / "here")
    assert "0 of 50 files analysed, 0 skipped" in prepare(audio, tmp_path / "there", cluster).stdout


def test_a_node_that_does_not_see_the_files_or_the_cache_is_named(
    tmp_path: Path, hidden: Path, cluster: tuple[str, int]
) -> None:
    if cluster[1] < 3:
        pytest.skip("this user may not have a node with another disk")
    seen = make_collection(tmp_path / "audio", tracks=20, seconds=5)
    audio = make_collection(hidden / "audio", tracks=20, seconds=5)
    for source, cache, message in (
        (audio, tmp_path / "cache", "does not see this file; put the collection where all nodes"),
        (seen, hidden / "cache", "are not visible here; choose a folder that all nodes share"),
    ):
        result = prepare(source, cache, cluster)
        assert result.returncode == 2, result.stdout
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert not (cache / "cache.json").exists()
