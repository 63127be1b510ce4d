"""Where trials run: a Ray of our own on this machine, or a cluster that is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from data.errors import SettingsError
from data.spread import cluster

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # A report costs the driver seven times as much with Tune's default loggers, whose files nobody reads.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@contextlib.contextmanager
def ray_cluster(address: str | None) -> Iterator[dict[str, float]]:
    """Connect to a cluster, or start a local one and stop it afterwards.

    Parameters
    ----------
    address : str or None
        A cluster's address, ``auto`` for the one of this machine; None starts one. A Ray that this process
        is connected to already is used and left as it is.

    Yields
    ------
    dict of str to float
        The cluster's resources: ``CPU``, ``GPU`` and others.

    Raises
    ------
    SettingsError
        If nobody answers at the address.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with cluster(address=address):
        import ray

        yield ray.cluster_resources()


def concurrent_trials(resources: dict[str, float], *, cpus: float, gpus: float, wanted: int | None) -> int:
    """How many trials run at the same time.

    Parameters
    ----------
    resources : dict of str to float
        The cluster's.
    cpus, gpus : float
        What a trial reserves.
    wanted : int or None
        Upper bound, or None for as many as fit.

    Raises
    ------
    SettingsError
        If not even one trial fits.
    """
    fit = []
    for name, option, each in (("CPU", "--cpus-per-trial", cpus), ("GPU", "--gpus-per-trial", gpus)):
        have = resources.get(name, 0.0)
        if each > have:
            raise SettingsError(f"{option} {each:g}: the cluster has {have:g} {name}s in all")
        if each > 0:
            fit.append(int(have / each))
    most = max(1, min(fit))
    return min(most, wanted) if wanted is not None else most
