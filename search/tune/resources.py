"""The resources of a search: a local Ray instance, or an existing cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from data.errors import SettingsError
from data.pipeline.ray_map import cluster

Resources = Mapping[str, float]
"""Resources of a node: ``CPU``, ``GPU`` and others."""

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tune's default loggers make a report seven times as expensive, and nothing reads their files.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A search resumes from its study, so frequent snapshots of all trials are not needed.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_LAUNCHED = Path("~/ray_bootstrap_config.yaml")
"""Path on the head node at which ``ray up`` stores the cluster configuration."""
_KUBERAY = "RAY_CLUSTER_NAME"
"""Environment variable that KubeRay sets in its pods."""
_EXTRA_NODES = 2
"""Nodes to request at a time if the maximum is unknown."""
_OPTIONS = (("CPU", "--cpus-per-trial"), ("GPU", "--gpus-per-trial"))


@contextlib.contextmanager
def ray_cluster(address: str | None) -> Iterator[list[Resources]]:
    """Connect to a cluster, or start a local one and stop it afterwards.

    Parameters
    ----------
    address : str or None
        Address of a cluster, or ``auto`` for a cluster on this machine; None starts a local instance. If this
        process is already connected to Ray, that connection is used and left open.

    Yields
    ------
    list of mapping
        Resources of each node, and of each node that the cluster may add.

    Raises
    ------
    SettingsError
        If no cluster answers at the address, or its versions differ.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with cluster(address=address):
        yield nodes(growing=address is not None)


def nodes(*, growing: bool) -> list[Resources]:
    """List the nodes of the cluster that this process is connected to.

    Parameters
    ----------
    growing : bool
        Whether to include the nodes that the autoscaler may add.

    Returns
    -------
    list of mapping
        Resources of each node.
    """
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    expected = _expected_nodes(alive) if growing else []
    # Nodes that have already joined are counted once.
    for node in alive:
        for candidate in expected:
            if all(node.get(name, 0.0) == candidate.get(name, 0.0) for name, _ in _OPTIONS):
                expected.remove(candidate)
                break
    return alive + expected


def _expected_nodes(alive: list[Resources]) -> list[Resources]:
    """List the nodes that the autoscaler may add; empty if that is unknown."""
    if _KUBERAY in os.environ:
        # Pods do not know the worker groups: request more nodes like the largest, a few at a time.
        largest = max(alive, key=lambda node: (node.get("GPU", 0.0), node.get("CPU", 0.0)))
        return [largest] * (len(alive) + _EXTRA_NODES)
    try:
        config = yaml.safe_load(_LAUNCHED.expanduser().read_text(encoding="utf-8"))
    except OSError:
        return []
    expected: list[Resources] = [
        {name: float(amount) for name, amount in node_type["resources"].items()}
        for label, node_type in config["available_node_types"].items()
        if label != config["head_node_type"]
        for _ in range(node_type.get("max_workers", config["max_workers"]))
    ]
    expected.sort(key=lambda node: -node.get("GPU", 0.0))
    return expected[: config["max_workers"]]


def concurrent_trials(nodes: Sequence[Resources], *, cpus: float, gpus: float, wanted: int | None) -> int:
    """Return how many trials can run at the same time.

    Parameters
    ----------
    nodes : sequence of mapping
        Resources of each node; a trial runs on one node.
    cpus, gpus : float
        Resources that a trial reserves.
    wanted : int or None
        Upper bound, or None for as many trials as fit.

    Raises
    ------
    SettingsError
        If not even one trial fits.
    """
    each = {"CPU": cpus, "GPU": gpus}
    fit = sum(_fit(node, each) for node in nodes)
    if fit == 0:
        raise SettingsError(_shortage(nodes, each))
    return fit if wanted is None else min(fit, wanted)


def side_by_side(
    nodes: Sequence[Resources], *, cpus: float, gpus: float, wanted: int | None
) -> tuple[int, int]:
    """Divide a cluster between trials with GPUs and trials without, which run at the same time.

    As many trials with GPUs as fit, but one without GPUs at least.

    Parameters
    ----------
    nodes : sequence of mapping
        Resources of each node.
    cpus : float
        Cores that each trial reserves.
    gpus : float
        GPUs that a trial with GPUs reserves.
    wanted : int or None
        Maximum number of trials altogether; None for no limit.

    Returns
    -------
    with_gpus, without : int
        Numbers of trials; 0 and 0 if the two cannot run at the same time.
    """
    limit = 10**9 if wanted is None else wanted - 1
    most = min(limit, sum(_fit(node, {"CPU": cpus, "GPU": gpus}) for node in nodes))
    for with_gpus in range(most, 0, -1):
        left, without = with_gpus, 0
        for node in nodes:
            on_node = min(left, _fit(node, {"CPU": cpus, "GPU": gpus}))
            left -= on_node
            without += _times(node.get("CPU", 0.0) - on_node * cpus, "CPU", cpus)
        if without > 0:
            return with_gpus, without if wanted is None else min(without, wanted - with_gpus)
    return 0, 0


def _fit(node: Resources, each: Mapping[str, float]) -> int:
    requested = [(name, amount) for name, amount in each.items() if amount > 0]
    return min(_times(node.get(name, 0.0), name, amount) for name, amount in requested)


def _times(available: float, name: str, amount: float) -> int:
    """Return how often an amount fits, in units of 1/10,000 as in Ray."""
    if name == "GPU" and amount < 1:
        # A fraction of a GPU cannot span two GPUs.
        return int(available) * int(10_000 // round(1e4 * amount))
    return int(round(1e4 * available) // round(1e4 * amount))


def _shortage(nodes: Sequence[Resources], each: Mapping[str, float]) -> str:
    for name, option in _OPTIONS:
        total = sum(node.get(name, 0.0) for node in nodes)
        largest = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if each[name] > total:
            return f"{option} {each[name]:g}: the cluster has only {total:g} {name}s"
        if each[name] > largest:
            return (
                f"{option} {each[name]:g}: a trial runs on one node, and no node has more than"
                f" {largest:g} {name}s; give a smaller number"
            )
    both = " ".join(f"{option} {each[name]:g}" for name, option in _OPTIONS)
    return f"{both}: no node has both; give smaller numbers, or add such a node"
