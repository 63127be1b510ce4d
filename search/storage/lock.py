"""One search a run: a new name is taken once, and a run is continued by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator

from data.errors import RunError
from data.io.folder import is_full
from search.storage.journal_mirror import working_folder
from search.storage.run_folder import JOURNAL, RunFolder

_LOCK = ".lock"


def refuse_existing(run: RunFolder) -> None:
    """Refuse the name of a run that is there.

    Raises
    ------
    RunError
        If it is there.
    """
    if run.folder.exists():
        raise _taken(run)


@contextlib.contextmanager
def claimed(run: RunFolder, *, new: bool) -> Iterator[None]:
    """Hold a run's folder inside this context; a process that dies lets it go.

    Parameters
    ----------
    run : RunFolder
        The run.
    new : bool
        Whether to make the folder, which must not be there.

    Raises
    ------
    RunError
        If the name is taken, or another process is searching in the run.
    """
    path = working_folder(run)
    if not run.folder.is_local:
        # A bucket has no locks: of two machines that take one name in the same second, both may have it.
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
            raise RunError(f"{run.folder.uri}: cannot be made ({error.strerror or error})") from error
    with (path / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                f"run {run.name!r}: another process is searching in {run.folder.uri}; wait for its end"
            ) from error
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise disk_full(run) from error
        finally:
            # Of a bucket that is out of reach nobody knows; why it is, is told by what was raised.
            with contextlib.suppress(OSError):
                if new and not run.folder.exists("run.json"):
                    # Not even begun: the name is free again.
                    shutil.rmtree(path, ignore_errors=True)


def disk_full(run: RunFolder, told: str = "") -> RunError:
    """Say that a disk is full, the run's or one that a trial told of, and what to do."""
    which = f" ({told})" if told else ""
    return RunError(
        f"{run.folder.uri}: the disk is full{which}; what was written stays readable; make room, then"
        f" 'python -m search.run --resume {run.typed}'"
    )


def out_of_reach(run: RunFolder, told: str) -> RunError:
    """Say that a run's folder cannot be read or written, as was told, and what to do."""
    return RunError(
        f"{run.folder.uri}: {told}; nothing that was written is lost; once that is mended,"
        f" 'python -m search.run --resume {run.typed}' goes on"
    )


def _taken(run: RunFolder) -> RunError:
    return RunError(
        f"--name {run.name}: {run.folder.uri} is there already; choose another name,"
        f" or go on with it by --resume {run.typed}"
    )
