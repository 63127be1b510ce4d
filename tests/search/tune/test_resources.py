from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from data.errors import SettingsError
from search.tune import concurrency, resources
from search.tune.concurrency import Capacity
from search.tune.resources import Resources, concurrent_trials, nodes, side_by_side

AWS = """
max_workers: 4
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, max_workers: 0}
  spot: {resources: {CPU: 4, GPU: 1, memory: 8}, max_workers: 4}
  on_demand: {resources: {CPU: 4, GPU: 1}, max_workers: 2}
"""


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "wanted", "expected"),
    [
        ([{"CPU": 8}], 1, 0, None, 8),
        ([{"CPU": 8}], 3, 0, None, 2),
        ([{"CPU": 8}], 0.5, 0, None, 16),
        ([{"CPU": 3}], 0.3, 0, None, 10),
        ([{"CPU": 8}], 1, 0, 3, 3),
        ([{"CPU": 8}], 1, 0, 30, 8),
        ([{"CPU": 8, "GPU": 1}], 1, 0.25, None, 4),
        ([{"CPU": 8, "GPU": 4}], 1, 2, None, 2),
        ([{"CPU": 8, "GPU": 2}], 1, 0.4, None, 4),
        ([{"CPU": 8, "GPU": 2}], 1, 0.6, None, 2),
        ([{"CPU": 8, "GPU": 2}], 1, 0.3, None, 6),
        ([{"CPU": 3}, {"CPU": 3}], 2, 0, None, 2),
        ([{"CPU": 0}, {"CPU": 4, "GPU": 1}, {"CPU": 16}], 1, 0.5, None, 2),
    ],
)
def test_as_many_trials_as_fit(
    nodes: list[Resources], cpus: float, gpus: float, wanted: int | None, expected: int
) -> None:
    assert concurrent_trials(nodes, cpus=cpus, gpus=gpus, wanted=wanted) == expected


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "message"),
    [
        ([{"CPU": 8}], 1, 1, "--gpus-per-trial 1: the cluster has only 0 GPUs"),
        ([{"CPU": 8}], 9, 0, "--cpus-per-trial 9: the cluster has only 8 CPUs"),
        ([{"CPU": 2}, {"CPU": 4}], 5, 0, "--cpus-per-trial 5: .* no node has more than 4 CPUs"),
        ([{"CPU": 8, "GPU": 1}] * 2, 1, 2, "--gpus-per-trial 2: .* no node has more than 1 GPUs"),
        ([{"CPU": 1, "GPU": 1}, {"CPU": 8}], 4, 1, "--cpus-per-trial 4 --gpus-per-trial 1: no node has both"),
    ],
)
def test_a_trial_that_fits_nowhere(nodes: list[Resources], cpus: float, gpus: float, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        concurrent_trials(nodes, cpus=cpus, gpus=gpus, wanted=None)


@pytest.fixture
def ray_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, object]]:
    """Nodes that Ray reports: the head, and those that a test adds."""
    reported: list[dict[str, object]] = [{"Alive": True, "Resources": {"memory": 1.0}}]
    monkeypatch.setattr(ray, "nodes", lambda: reported)
    monkeypatch.setattr(resources, "_LAUNCHED", tmp_path / "ray_bootstrap_config.yaml")
    return reported


def test_nodes_that_the_autoscaler_may_add_are_counted_once(ray_nodes: list[dict[str, object]]) -> None:
    with pytest.raises(SettingsError, match="the cluster has only 0 CPUs"):
        concurrent_trials(nodes(growing=True), cpus=1, gpus=0, wanted=None)
    resources._LAUNCHED.write_text(AWS)
    for _ in range(3):
        assert concurrent_trials(nodes(growing=True), cpus=1, gpus=0.5, wanted=None) == 8
        ray_nodes.append({"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0, "memory": 7.0}})
    ray_nodes.append({"Alive": False, "Resources": {"CPU": 64.0}})
    assert len(nodes(growing=False)) == 4


def test_pods_are_requested_a_few_at_a_time(
    ray_nodes: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_CLUSTER_NAME", "genre-search")
    for pods in (1, 2, 3):
        ray_nodes.append({"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}})
        assert concurrent_trials(nodes(growing=True), cpus=1, gpus=1, wanted=None) > pods


def test_the_limit_follows_the_nodes(
    ray_nodes: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_COUNT_SECONDS", 0.0)
    limiter = SimpleNamespace(max_concurrent=1)
    capacity = Capacity(limiter, cpus=1, gpus=0, wanted=6)
    for cores, expected in ((None, 1), (4, 4), (3, 6)):
        if cores is not None:
            ray_nodes.append({"Alive": True, "Resources": {"CPU": float(cores)}})
        capacity.on_step_begin(0, [])
        assert limiter.max_concurrent == expected


def test_waiting_for_a_node_is_reported_once(
    ray_nodes: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(concurrency, "_COUNT_SECONDS", 0.0)
    capacity = Capacity(SimpleNamespace(max_concurrent=1), cpus=1, gpus=0, wanted=None)
    node = {"Alive": False, "Resources": {"CPU": 1.0}}
    ray_nodes.append(node)
    for alive in (False, False, True, False):
        node["Alive"] = alive
        capacity.on_step_begin(0, [])
    assert (
        capsys.readouterr().err.count("Waiting for a node: --cpus-per-trial 1: the cluster has only 0 CPUs")
        == 2
    )


@pytest.mark.parametrize(
    ("nodes", "gpus", "wanted", "numbers"),
    [
        ([{"CPU": 8, "GPU": 1}], 0.25, None, (4, 4)),
        # A core stays free for a trial without GPUs.
        ([{"CPU": 4, "GPU": 1}], 0.25, None, (3, 1)),
        ([{"CPU": 2, "GPU": 1}], 1, None, (1, 1)),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 16}], 1, None, (2, 22)),
        ([{"CPU": 8, "GPU": 1}], 0.25, 4, (3, 1)),
        ([{"CPU": 8, "GPU": 1}], 1, 4, (1, 3)),
        ([{"CPU": 8, "GPU": 1}], 0.25, 1, (0, 0)),
        ([{"CPU": 1, "GPU": 1}], 0.25, None, (0, 0)),
        ([{"CPU": 8}], 0.25, None, (0, 0)),
    ],
)
def test_trials_with_and_without_gpus_run_side_by_side(
    nodes: list[dict[str, float]], gpus: float, wanted: int | None, numbers: tuple[int, int]
) -> None:
    assert side_by_side(nodes, cpus=1, gpus=gpus, wanted=wanted) == numbers
