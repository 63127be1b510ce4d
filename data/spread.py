"""Work spread over the cores of this machine or of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from data.errors import SettingsError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PATIENCE = 10
"""Seconds that a cluster has to answer."""
_AHEAD = 2
"""Tasks in flight a core: one at work and one waiting, so that memory stays flat however many there are."""


def spread(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[_Result]:
    """Yield the result of each item, in the order in which they are done.

    Parameters
    ----------
    work : callable
        What to do with an item; it and the items are sent to other processes.
    items : sequence
        The items.
    workers : int, optional
        Processes at once; all cores by default. With 1, and no `address`, the work is done right here.
    address : str, optional
        Address of a Ray cluster. By default one is started on this machine and stopped at the end, unless
        this process is connected to one already.

    Raises
    ------
    SettingsError
        If no cluster answers at `address`.
    """
    if address is None and (workers == 1 or len(items) == 1):
        yield from map(work, items)
        return
    import ray

    def one(item: _Item) -> _Result:
        return work(item)

    with cluster(workers, address):
        task = ray.remote(num_cpus=1)(one)
        limit = _AHEAD * (workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
        waiting = iter(items)
        running = [task.remote(item) for item in islice(waiting, limit)]
        while running:
            done, running = ray.wait(running)
            yield from ray.get(done)
            running += [task.remote(item) for item in islice(waiting, len(done))]


@contextlib.contextmanager
def cluster(workers: int | None = None, address: str | None = None) -> Iterator[None]:
    """Connect to the cluster that `spread` uses inside this context, so that several calls share one.

    Parameters
    ----------
    workers : int, optional
        Cores of a cluster that is started here; all by default. With 1, and no `address`, none is started.
    address : str, optional
        Address of a Ray cluster; by default one is started, and stopped at the end.

    Raises
    ------
    SettingsError
        If no cluster answers at `address`.
    """
    if workers == 1 and address is None:
        yield
        return
    if address is not None:
        _require_listener(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SettingsError(f"--address {address}: no Ray cluster answers there ({error})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray itself would wait many minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise SettingsError(
            f"--address {address}: nobody listens there ({error}); give HOST:PORT of the cluster's head"
        ) from error
