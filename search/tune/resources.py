"""Where trials run: a Ray of our own on this machine, or a cluster that is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from data.errors import SettingsError
from data.pipeline.ray_map import cluster

Resources = Mapping[str, float]
"""What a node has: ``CPU``, ``GPU`` and others."""

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # A report costs the driver seven times as much with Tune's default loggers, whose files nobody reads.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Nor its snapshots of all trials, every ten seconds: the study is what a search goes on from.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_LAUNCHED = Path("~/ray_bootstrap_config.yaml")
"""Where ``ray up`` leaves the head the cluster's description."""
_KUBERAY = "RAY_CLUSTER_NAME"
"""Variable of the environment that KubeRay's pods have."""
_AHEAD = 2
"""Nodes that are asked for at once where nothing says how many there may be."""
_OPTIONS = (("CPU", "--cpus-per-trial"), ("GPU", "--gpus-per-trial"))


@contextlib.contextmanager
def ray_cluster(address: str | None) -> Iterator[list[Resources]]:
    """Connect to a cluster, or start a local one and stop it afterwards.

    Parameters
    ----------
    address : str or None
        A cluster's address, ``auto`` for the one of this machine; None starts one. A Ray that this process
        is connected to already is used and left as it is.

    Yields
    ------
    list of mapping
        What each node has, and each that the cluster may add.

    Raises
    ------
    SettingsError
        If nobody answers at the address, or the cluster's versions are others.
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
        Whether to list, beside those that are there, the ones that the autoscaler may add.

    Returns
    -------
    list of mapping
        What each has.
    """
    import ray

    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    coming = _may_come(there) if growing else []
    # Those that came already are counted once.
    for node in there:
        for kind in coming:
            if all(node.get(name, 0.0) == kind.get(name, 0.0) for name, _ in _OPTIONS):
                coming.remove(kind)
                break
    return there + coming


def _may_come(there: list[Resources]) -> list[Resources]:
    """Nodes that the autoscaler may add; none where it cannot be known from here."""
    if _KUBERAY in os.environ:
        # Pods do not say what their groups are; more of the largest are asked for, a few at a time.
        largest = max(there, key=lambda node: (node.get("GPU", 0.0), node.get("CPU", 0.0)))
        return [largest] * (len(there) + _AHEAD)
    try:
        config = yaml.safe_load(_LAUNCHED.expanduser().read_text(encoding="utf-8"))
    except OSError:
        return []
    found: list[Resources] = [
        {name: float(amount) for name, amount in kind["resources"].items()}
        for label, kind in config["available_node_types"].items()
        if label != config["head_node_type"]
        for _ in range(kind.get("max_workers", config["max_workers"]))
    ]
    found.sort(key=lambda node: -node.get("GPU", 0.0))
    return found[: config["max_workers"]]


def concurrent_trials(nodes: Sequence[Resources], *, cpus: float, gpus: float, wanted: int | None) -> int:
    """How many trials run at the same time.

    Parameters
    ----------
    nodes : sequence of mapping
        What each node has; a trial runs on one of them.
    cpus, gpus : float
        What a trial reserves.
    wanted : int or None
        Upper bound, or None for as many as fit.

    Raises
    ------
    SettingsError
        If not even one trial fits.
    """
    each = {"CPU": cpus, "GPU": gpus}
    fit = sum(_fit(node, each) for node in nodes)
    if fit == 0:
        raise SettingsError(_why_none(nodes, each))
    return fit if wanted is None else min(fit, wanted)


def _fit(node: Resources, each: Mapping[str, float]) -> int:
    asked = [(name, amount) for name, amount in each.items() if amount > 0]
    return min(_times(node.get(name, 0.0), name, amount) for name, amount in asked)


def _times(there: float, name: str, amount: float) -> int:
    """How often an amount is there, counted in ten-thousandths, as Ray does."""
    if name == "GPU" and amount < 1:
        # A share is of one GPU: what is left over of two does not make a third.
        return int(there) * int(10_000 // round(1e4 * amount))
    return int(round(1e4 * there) // round(1e4 * amount))


def _why_none(nodes: Sequence[Resources], each: Mapping[str, float]) -> str:
    for name, option in _OPTIONS:
        total = sum(node.get(name, 0.0) for node in nodes)
        largest = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if each[name] > total:
            return f"{option} {each[name]:g}: the cluster has {total:g} {name}s in all"
        if each[name] > largest:
            return (
                f"{option} {each[name]:g}: a trial runs on one node, and no node has more than"
                f" {largest:g} {name}s; give a smaller number"
            )
    both = " ".join(f"{option} {each[name]:g}" for name, option in _OPTIONS)
    return f"{both}: no node has both; give smaller numbers, or add such a node"
