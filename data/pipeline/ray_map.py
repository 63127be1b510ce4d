"""Spread work over the cores of this machine or of a Ray cluster."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from data.errors import HarnessError, SettingsError
from data.io.home import home_is_writable

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PROJECT = Path(__file__).resolve().parents[2]
"""Folder that holds our packages."""
_ONE_MACHINE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable that is 0 if a cluster is one machine."""
_PATIENCE = 10
"""Seconds to wait for a cluster's answer."""
_STARTS = 2
"""Attempts to start Ray: on a busy machine a node can need longer than Ray waits."""
_BOTH = 2
"""Pairs of versions in Ray's message if they differ: the cluster's and this environment's."""
_LONGEST_TMPDIR = 40
"""Bytes of ``TMPDIR`` up to which the names of Ray's sockets, about 65 bytes more, stay within 107."""
_RAY_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
_SHORT_FOLDER = "/tmp"  # noqa: S108 - mkdtemp makes a folder of this user inside
_AHEAD = 2
"""Tasks in flight per core: one running and one waiting, so memory use does not grow with their number."""
_DEMAND = 32
"""Fewest tasks in flight on a given cluster: waiting tasks make it add nodes."""


def spread(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[_Result]:
    """Yield the result of each item, in the order of completion.

    Parameters
    ----------
    work : callable
        Function of an item; both are sent to other processes.
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
    HarnessError
        If a worker process dies repeatedly. Exceptions of `work` itself are raised unchanged.
    """
    if address is None and (workers == 1 or len(items) == 1):
        yield from map(work, items)
        return

    def run_item(item: _Item) -> _Result:
        return work(item)

    def limit() -> int:
        import ray

        if workers is not None:
            # On a cluster that was given, what is in flight may all be at work.
            return workers if address is not None else _AHEAD * workers
        # Queried each time: nodes come and go.
        ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        return ahead if address is None else max(_DEMAND, ahead)

    with cluster(workers, address):
        import ray
        from ray.exceptions import RayError, RayTaskError

        task = ray.remote(num_cpus=1)(run_item)
        waiting = iter(items)
        running = [task.remote(item) for item in islice(waiting, limit())]
        while running:
            done, running = ray.wait(running)
            try:
                yield from ray.get(done)
            except RayTaskError as error:
                raise error.cause from None
            except RayError as error:
                reason = str(error).partition("\n")[0]
                raise HarnessError(
                    f"a worker process died ({reason}); if memory ran out, give fewer --workers,"
                    " and run the same command again"
                ) from error
            running += [task.remote(item) for item in islice(waiting, max(0, limit() - len(running)))]


def node() -> str:
    """Name of the node of the cluster that this process works on; empty outside any."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""


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
    with _hidden_working_folder() as folder:
        with (
            _listening_on_loopback() if address is None else contextlib.nullcontext(),
            contextlib.chdir(folder),
        ):
            connected = _connect(workers, address)
        try:
            yield
        finally:
            if connected:
                import ray

                ray.shutdown()


def _temporary_folder() -> str | None:
    """Folder for the session of a Ray that is started here; None is Ray's own choice.

    The paths of its sockets must not exceed 107 bytes. If ``TMPDIR`` is too long for that, a folder in
    ``/tmp`` is used, and deleted at the end of this process.

    Raises
    ------
    SettingsError
        If ``TMPDIR`` is too long and ``/tmp`` cannot be used instead.
    """
    named = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR", "")
    length = len(os.fsencode(named))
    if length <= _LONGEST_TMPDIR:
        return None
    try:
        folder = tempfile.mkdtemp(prefix="ray-", dir=_SHORT_FOLDER)
    except OSError as error:
        raise SettingsError(
            f"TMPDIR {named}: too long for Ray ({length} bytes, at most {_LONGEST_TMPDIR});"
            " name a shorter folder"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _connect(workers: int | None, address: str | None) -> bool:
    """Connect to Ray, unless this process is connected already."""
    import ray

    if ray.is_initialized():
        return False
    try:
        if address is None:
            _start(workers)
        else:
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # a bare one is what Ray raises where a node does not start in time
        versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", str(error))
        if len(versions) == _BOTH:
            theirs, ours = (f"Ray {ray_version} and Python {python}" for ray_version, python in versions)
            raise SettingsError(
                f"--address {address}: the cluster has {theirs}, this environment {ours}; install the same on"
                " all nodes, from one lock file"
            ) from error
        if address is None:
            raise SettingsError(
                f"Ray could not be started on this machine ({error}); free memory and space in the folder for"
                " temporary files"
            ) from error
        raise SettingsError(f"--address {address}: no Ray cluster answers there ({error})") from error
    return True


def _start(workers: int | None) -> None:
    """Start Ray on this machine, and try again if the node exceeds Ray's fixed limit of 30 seconds."""
    import ray

    if not home_is_writable():
        # Ray would store the password of its nodes in ~/.ray.
        os.environ.setdefault(_RAY_TOKEN, secrets.token_hex())
    for attempt in range(_STARTS):
        try:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                _temp_dir=_temporary_folder(),
            )
        except Exception:
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise
        else:
            return


@contextlib.contextmanager
def _hidden_working_folder() -> Iterator[Path]:
    """Folder to connect to Ray from, so that workers import our packages and not files of the user.

    Ray puts the driver's working folder in front of the workers' ``sys.path``, where a ``data.py`` of the
    user would hide our `data`. So Ray is started in an empty folder, which exists until Ray is stopped,
    unless the packages themselves are imported from the working folder. A ``working_dir`` in
    ``runtime_env`` does the same, but makes the first task and each actor seconds later, and contradicts
    the one of ``ray job submit --working-dir``.
    """
    working_folder = Path.cwd()
    if working_folder == _PROJECT:
        yield working_folder
        return
    with tempfile.TemporaryDirectory(prefix="genre-search-", ignore_cleanup_errors=True) as empty:
        yield Path(empty)


@contextlib.contextmanager
def _listening_on_loopback() -> Iterator[None]:
    """Let a Ray that is started inside listen on this machine's loopback alone.

    Ray looks at the variable when it is imported; where that has happened already, nothing is changed. It is
    meant for systems whose firewall asks at each start, and does the same on Linux.
    """
    if "ray" in sys.modules or _ONE_MACHINE in os.environ:
        yield
        return
    os.environ[_ONE_MACHINE] = "0"
    try:
        yield
    finally:
        del os.environ[_ONE_MACHINE]


def _require_listener(address: str) -> None:
    """Refuse an address without a listener; Ray itself would wait many minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise SettingsError(
            f"--address {address}: no cluster listens there ({error}); give HOST:PORT of the cluster's head"
        ) from error
