"""List, rename, delete and archive runs: ``python -m results.runs``."""

from __future__ import annotations

import math
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data.console import Command, err, out
from data.errors import OutputError, RunError
from data.io.command_names import command_name
from search.storage.run_names import check_run_name

if TYPE_CHECKING:
    from search.storage.run_folder import RunFolder

_RUNS = click.option(
    "--runs", metavar="DIR_OR_URI", default="runs", show_default=True, help="Folder of the runs."
)
_YES = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """List, rename, delete and archive runs."""


@main.command("list", cls=Command, extra="search", short_help="List all runs.")
@_RUNS
def list_command(runs: str) -> None:
    """List all runs with their size and the runs that they warm-started."""
    from rich.table import Table

    from results.evaluation.inventory import list_runs

    entries = list_runs(runs)
    if not entries:
        raise RunError(f"--runs {runs}: no runs found")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("run", "family", "status", "trials", "best", "size", "created", "used by"):
        table.add_column(
            title, justify="right" if title in ("trials", "best", "size") else "left", overflow="fold"
        )
    for entry in entries:
        if entry.info is None:
            table.add_row(entry.run.name, "", "unreadable", "", "", _size(entry.n_bytes), "", "")
            err().print(f"Warning: {entry.problem}", markup=False, highlight=False)
            continue
        table.add_row(
            entry.run.name,
            entry.info.family,
            entry.info.status,
            str(entry.n_trials),
            "" if math.isnan(entry.best_accuracy) else f"{100 * entry.best_accuracy:.1f} %",
            _size(entry.n_bytes),
            entry.info.created[:10],
            ", ".join(entry.dependents),
        )
    out().print(table)


@main.command("rename", cls=Command, extra="search", short_help="Rename a run.")
@click.argument("run")
@click.argument("new_name")
@_RUNS
def rename_command(run: str, new_name: str, runs: str) -> None:
    """Rename RUN to NEW_NAME; runs that it warm-started refer to the new name."""
    from results.evaluation.inventory import dependents
    from search.storage.lock import claimed
    from search.storage.run_folder import RunFolder

    check_run_name(new_name, "NEW_NAME")
    source, target = _local_run(runs, run), RunFolder.at(runs, new_name)
    info = source.info()
    if target.folder.exists():
        raise RunError(f"NEW_NAME {new_name}: {target.folder.uri} exists already; choose another name")
    users = dependents(other.info() for other in RunFolder.all(runs)).get(run, ())
    with claimed(source, new=False):
        source.folder.local.rename(target.folder.local)
        target.write_info(info.model_copy(update={"name": new_name}))
    for name in users:
        user = RunFolder.at(runs, name)
        record = user.info()
        user.write_info(
            record.model_copy(update={"warm_start": {**(record.warm_start or {}), "run": new_name}})
        )
    click.echo(f"Renamed {run} to {new_name}.")


@main.command("delete", cls=Command, extra="search", short_help="Delete runs.")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@_RUNS
@_YES
def delete_command(names: tuple[str, ...], runs: str, yes: bool) -> None:
    """Delete runs with all their trials, after confirmation. Exports are not affected."""
    folders = [_local_run(runs, name) for name in names]
    _confirm("Delete", runs, names, yes)
    for run in folders:
        _remove(run)
        click.echo(f"Deleted {run.name}.")


@main.command("archive", cls=Command, extra="search", short_help="Pack runs into archives.")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@_RUNS
@click.option("--to", "target", metavar="DIR", required=True, help="Folder of the archives.")
@click.option("--delete", is_flag=True, help="Delete each run once its archive is complete.")
@_YES
def archive_command(names: tuple[str, ...], runs: str, target: str, delete: bool, yes: bool) -> None:
    """Pack each run into DIR/RUN.tar.gz. To unpack it, run tar -xzf in the folder of runs."""
    folders = [_local_run(runs, name) for name in names]
    if delete:
        _confirm("Archive and delete", runs, names, yes)
    for run in folders:
        path = _archive(run, Path(target))
        click.echo(f"Archived {run.name} in {path} ({_size(path.stat().st_size)}).")
        if delete:
            _remove(run)


def _local_run(runs: str, name: str) -> RunFolder:
    """Return a run of this machine that exists.

    Raises
    ------
    RunError
        If the runs are in a bucket, or the run does not exist.
    """
    from search.storage.run_folder import RunFolder

    run = RunFolder.at(runs, name)
    if not run.folder.is_local:
        raise RunError(f"--runs {runs}: runs in a bucket are only listed; use the tools of its provider")
    if not run.folder.exists("run.json"):
        raise RunError(
            f"--runs {runs}: no run {name!r}; '{command_name('results.runs')} list' lists the runs"
        )
    return run


def _confirm(action: str, runs: str, names: Sequence[str], yes: bool) -> None:
    """Ask before runs are deleted, naming their size and the runs that they warm-started."""
    from results.evaluation.inventory import list_runs

    entries = [entry for entry in list_runs(runs) if entry.run.name in names]
    for entry in entries:
        used = f", warm-started {', '.join(entry.dependents)}" if entry.dependents else ""
        click.echo(f"{entry.run.name}: {entry.n_trials} trials, {_size(entry.n_bytes)}{used}")
    if not yes:
        click.confirm(f"{action} {len(entries)} run{'s' if len(entries) > 1 else ''}?", abort=True)


def _remove(run: RunFolder) -> None:
    """Delete a run's folder, unless a search works in it."""
    from search.storage.lock import claimed

    with claimed(run, new=False):
        # Without its record the folder is no run any more, even if the rest is deleted only in part.
        run.folder.remove("run.json")
        shutil.rmtree(run.folder.local)


def _archive(run: RunFolder, folder: Path) -> Path:
    """Pack a run's folder; the archive appears whole.

    Raises
    ------
    OutputError
        If the archive exists already, or cannot be written.
    """
    from search.storage.lock import claimed

    target = folder / f"{run.name}.tar.gz"
    scratch = folder / f".tmp-{os.getpid()}-{target.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise OutputError(f"{target}: exists already and is not replaced; name another --to")
        with claimed(run, new=False), tarfile.open(scratch, "w:gz") as archive:
            archive.add(run.folder.local, arcname=run.name)
        scratch.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        scratch.unlink(missing_ok=True)
    return target


def _size(n_bytes: int | None) -> str:
    """Format a size; empty if it is unknown."""
    return "" if n_bytes is None else f"{n_bytes / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
