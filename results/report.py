"""Write an HTML report of searches: ``python -m results.report RUN...``."""

from __future__ import annotations

from pathlib import Path

import click

from data.console import Command
from data.errors import RunError


@click.command(cls=Command)
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--out", metavar="FILE.html", default="report.html", help="File to write.")
def main(names: tuple[str, ...], runs: str, out: str) -> None:
    """Write a report of one or several RUNs as one HTML file that works offline."""
    from data.io.folder import Folder
    from results.reporting.page import report

    target = Path(out).expanduser().absolute()
    if target.is_dir():
        raise RunError(f"--out {out}: this is a folder; name a file, such as {out.rstrip('/')}/report.html")
    html = report(runs, list(dict.fromkeys(names)))
    try:
        Folder.at(target.parent).write(target.name, html.encode())
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written ({error})") from error
    click.echo(f"Wrote {out} ({len(html.encode()) / 1e6:.1f} MB). Open it in a browser.")


if __name__ == "__main__":
    main()
