from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.collection import make_collection
from tests.data.test_prepare import assert_same

_NODES = """
import subprocess, sys
from ray.cluster_utils import Cluster

hidden = sys.argv[1]
nodes = Cluster()
nodes.add_node(num_cpus=1, include_dashboard=False)
nodes.add_node(num_cpus=1)
count = 2
# A third node, for which another disk lies at one path; only root may have it.
command = f"mount -t tmpfs tmpfs {hidden} && exec {sys.executable} -m ray.scripts.scripts start"
command += f" --address={nodes.address} --num-cpus=1 --resources='{{\\"elsewhere\\": 1}}' --block"
third = None
if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0:
    third = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    count = 3
nodes.wait_for_nodes()
import ray, time
ray.init(nodes.address, logging_level="error", log_to_driver=False)
deadline = time.time() + 60
while sum(node["Alive"] for node in ray.nodes()) < count and time.time() < deadline:
    time.sleep(0.2)
ray.shutdown()
print(nodes.address, count, flush=True)
sys.stdin.read()
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
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line, "the cluster did not start"
        yield line[0], int(line[1])
        process.communicate()


def prepare(audio: Path, cache: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data.prepare", "--audio", str(audio), "--cache", str(cache)]
    return subprocess.run(
        [*command, "--address", address, *options], capture_output=True, text=True, check=False
    )


def test_a_cluster_shares_the_work_and_gives_the_same_cache(tmp_path: Path, cluster: tuple[str, int]) -> None:
    address, count = cluster
    audio = make_collection(tmp_path / "audio", tracks=25, seconds=5)
    there = prepare(audio, tmp_path / "there", address)
    assert there.returncode == 0, there.stderr
    assert f"50 of 50 files analysed by {count} nodes" in there.stdout.replace("\n", " ")
    local = [sys.executable, "-m", "data.prepare", "--audio", audio, "--cache", tmp_path / "here"]
    subprocess.run([*local, "--workers", "1"], check=True, capture_output=True)
    assert_same(tmp_path / "there", tmp_path / "here")
    assert "0 of 50 files analysed, 0 skipped" in prepare(audio, tmp_path / "there", address).stdout


def test_a_node_that_does_not_see_the_files_or_the_cache_is_named(
    tmp_path: Path, hidden: Path, cluster: tuple[str, int]
) -> None:
    address, count = cluster
    if count < 3:
        pytest.skip("this user may not have a node with another disk")
    seen = make_collection(tmp_path / "audio", tracks=20, seconds=5)
    audio = make_collection(hidden / "audio", tracks=20, seconds=5)
    for source, cache, message in (
        (audio, tmp_path / "cache", "does not see this file; put the collection where all nodes"),
        (seen, hidden / "cache", "is not to be seen from here; name a folder that all nodes share"),
    ):
        result = prepare(source, cache, address)
        assert result.returncode == 2, result.stdout
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert not (cache / "cache.json").exists()
