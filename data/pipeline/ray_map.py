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
"""Folder of this project's packages."""
_MULTI_NODE_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable that is 0 if a cluster consists of one machine."""
_TIMEOUT_S = 10
"""Seconds to wait for a connection to a cluster."""
_STARTS = 2
"""Attempts to start Ray, because a node on a busy machine can exceed Ray's time limit."""
_MAX_TMPDIR_BYTES = 40
"""Maximum length of ``TMPDIR``: Ray adds about 65 bytes for the paths of sockets, and 107 are allowed."""
_RAY_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
_SHORT_FOLDER = "/tmp"  # noqa: S108 - mkdtemp creates a private folder inside
_TASKS_PER_CORE = 2
"""Submitted tasks per core, one running and one waiting; limits memory use."""
_MIN_TASKS = 32
"""Minimum number of submitted tasks on a remote cluster, because waiting tasks make it add nodes."""


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
        Number of processes; all cores by default. With 1 and no `address`, the work is done in this process.
    address : str, optional
        Address of a Ray cluster. By default, one is started on this machine and stopped at the end, unless
        this process is already connected to one.

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
            # On a remote cluster, all submitted tasks may run at once.
            return workers if address is not None else _TASKS_PER_CORE * workers
        # Queried each time, because nodes can join and leave.
        n_tasks = _TASKS_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
        return n_tasks if address is None else max(_MIN_TASKS, n_tasks)

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
                    f"a worker process died ({reason}); if memory ran out, use fewer --workers,"
                    " and run the same command again"
                ) from error
            running += [task.remote(item) for item in islice(waiting, max(0, limit() - len(running)))]


def node() -> str:
    """ID of the cluster node that runs this process; empty outside a cluster."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""


@contextlib.contextmanager
def cluster(workers: int | None = None, address: str | None = None) -> Iterator[None]:
    """Connect to a cluster inside this context, so that several calls of `spread` share it.

    Parameters
    ----------
    workers : int, optional
        Number of cores of a local cluster; all by default. With 1 and no `address`, none is started.
    address : str, optional
        Address of a Ray cluster; by default, one is started and stopped at the end.

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
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")
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
    """Folder for the session of a local Ray; None means Ray's default.

    The paths of its sockets must not exceed 107 bytes. If ``TMPDIR`` is too long, a folder in ``/tmp`` is
    used and deleted at the end of this process.

    Raises
    ------
    SettingsError
        If ``TMPDIR`` is too long and ``/tmp`` cannot be used instead.
    """
    tmpdir = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR", "")
    length = len(os.fsencode(tmpdir))
    if length <= _MAX_TMPDIR_BYTES:
        return None
    try:
        folder = tempfile.mkdtemp(prefix="ray-", dir=_SHORT_FOLDER)
    except OSError as error:
        raise SettingsError(
            f"TMPDIR {tmpdir}: too long for Ray ({length} bytes, at most {_MAX_TMPDIR_BYTES});"
            " choose a shorter folder"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _connect(workers: int | None, address: str | None) -> bool:
    """Connect to Ray; return False if this process is already connected."""
    import ray

    if ray.is_initialized():
        return False
    try:
        if address is None:
            _start(workers)
        else:
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises a plain Exception if a node does not start in time
        versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", str(error))
        if len(versions) == 2:  # the message names those of the cluster and of this environment
            theirs, ours = (f"Ray {ray_version} and Python {python}" for ray_version, python in versions)
            raise SettingsError(
                f"--address {address}: the cluster has {theirs}, this environment {ours}; install the same"
                " versions on all nodes, from one lock file"
            ) from error
        if address is None:
            raise SettingsError(_start_failure(error)) from error
        raise SettingsError(
            f"--address {address}: no Ray cluster accepts this program ({error}); if it checks tokens, set"
            " RAY_AUTH_MODE=token and copy ~/.ray/auth_token from its head node"
        ) from error
    return True


def _start_failure(error: Exception) -> str:
    """Say why Ray did not start on this machine, and what to do."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, TimeoutError) or "timed out" in text.lower():
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        return (
            f"Ray did not start within its time limit, in {_STARTS} attempts: this machine is too busy (load"
            f" {load:.1f} on {cores} cores); run the same command again when other programs have ended"
        )
    return (
        f"Ray could not be started on this machine ({text}); check the free memory, and the space in the"
        " folder for temporary files"
    )


def _start(workers: int | None) -> None:
    """Start Ray on this machine; try again if the node exceeds Ray's fixed limit of 30 seconds."""
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
    """Yield a folder to connect to Ray from, so that workers import our packages and not files of the user.

    Ray puts the driver's working folder first in the workers' ``sys.path``, where a ``data.py`` of the user
    would hide our `data`. Therefore Ray is started in an empty folder, which exists until Ray is stopped,
    unless our packages are imported from the working folder. A ``working_dir`` in ``runtime_env`` has the
    same effect, but delays the first task and each actor by seconds, and conflicts with ``ray job submit
    --working-dir``.
    """
    working_folder = Path.cwd()
    if working_folder == _PROJECT:
        yield working_folder
        return
    with tempfile.TemporaryDirectory(prefix="genre-search-", ignore_cleanup_errors=True) as empty:
        yield Path(empty)


@contextlib.contextmanager
def _listening_on_loopback() -> Iterator[None]:
    """Let a Ray that is started inside this context listen only on the loopback interface.

    Ray reads the variable when it is imported; if that has already happened, nothing changes. The variable is
    meant for systems whose firewall asks at each start, but also works on Linux.
    """
    if "ray" in sys.modules or _MULTI_NODE_VARIABLE in os.environ:
        yield
        return
    os.environ[_MULTI_NODE_VARIABLE] = "0"
    try:
        yield
    finally:
        del os.environ[_MULTI_NODE_VARIABLE]


def _require_listener(address: str) -> None:
    """Refuse an address that nothing listens on; Ray itself would wait for many minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_TIMEOUT_S).close()
    except OSError as error:
        raise SettingsError(
            f"--address {address}: no cluster listens there ({error}); use HOST:PORT of the head node"
        ) from error
