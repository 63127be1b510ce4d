"""Locks on runs: a name is used once, and only one process at a time searches in a run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from filelock import FileLock, Timeout

from data.errors import RunError
from data.io.command_names import command_name
from data.io.folder import is_full
from search.storage.journal_mirror import working_folder
from search.storage.run_folder import JOURNAL, RunFolder

_LOCK = ".lock"


def refuse_existing(run: RunFolder) -> None:
    """Check that no run has this name.

    Raises
    ------
    RunError
        If the run exists.
    """
    if run.folder.exists():
        raise _taken(run)


@contextlib.contextmanager
def claimed(run: RunFolder, *, new: bool) -> Iterator[None]:
    """Lock a run's folder inside this context; the death of the process releases the lock.

    Parameters
    ----------
    run : RunFolder
        The run.
    new : bool
        Whether to create the folder, which must not exist.

    Raises
    ------
    RunError
        If the name is in use, or another process searches in the run.
    """
    path = working_folder(run)
    if not run.folder.is_local:
        # Buckets have no locks: two machines that use one name at the same moment are not detected.
        if new:
            refuse_existing(run)
            (path / JOURNAL).unlink(missing_ok=True)
        path.mkdir(parents=True, exist_ok=True)
    elif new:
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise _taken(run) from error
        except OSError as error:
            raise RunError(f"{run.folder.uri}: cannot be created ({error.strerror or error})") from error
    try:
        lock = FileLock(path / _LOCK).acquire(blocking=False)
    except Timeout as error:
        raise RunError(
            f"run {run.name!r}: another process is searching in {run.folder.uri}; wait until it ends"
        ) from error
    except OSError as error:
        raise RunError(
            f"{run.folder.uri}: this run cannot be written ({error.strerror or error}); continue it as the"
            " user who owns it, or copy the folder to where you can write and give its place with --runs"
        ) from error
    with lock:
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise disk_full(run) from error
        finally:
            # An unreachable bucket is reported by the original exception.
            with contextlib.suppress(OSError):
                if new and not run.folder.exists("run.json"):
                    # The search never started, so free its name.
                    shutil.rmtree(path, ignore_errors=True)


def disk_full(run: RunFolder, details: str = "") -> RunError:
    """Return the error for a full disk: that of the run, or one that a trial reported."""
    which = f" ({details})" if details else ""
    return RunError(
        f"{run.folder.uri}: the disk is full{which}; all written files stay readable; free some space,"
        f" then run '{command_name('search.run')} --resume {run.typed}'"
    )


def out_of_reach(run: RunFolder, details: str) -> RunError:
    """Return the error for a run's folder that cannot be read or written."""
    return RunError(
        f"{run.folder.uri}: {details}; no written file is lost; once this is fixed, run"
        f" '{command_name('search.run')} --resume {run.typed}'"
    )


def inputs_changed(run: RunFolder, details: str) -> RunError:
    """Return the error for a cache whose inputs changed while a search read them."""
    return RunError(
        f"run {run.name!r} is suspended, and its trials are kept: {details}; once the inputs are restored,"
        f" run '{command_name('search.run')} --resume {run.typed}'"
    )


def _taken(run: RunFolder) -> RunError:
    return RunError(
        f"--name {run.name}: {run.folder.uri} exists already; choose another name, or continue"
        f" it with --resume {run.typed} if it was interrupted, --extend {run.typed} if it is finished"
    )
