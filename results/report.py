"""Write an HTML report of searches: ``python -m results.report RUN...``."""

from __future__ import annotations

import click

from data.console import Command


@click.command(cls=Command, extra="search")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--out", metavar="FILE.html", default="report.html", help="File to write.")
def main(names: tuple[str, ...], runs: str, out: str) -> None:
    """Write a report of one or several RUNs as one HTML file that works offline."""
    from results.reporting.page import write_report

    size = write_report(runs, list(dict.fromkeys(names)), out).stat().st_size
    click.echo(f"Wrote {out} ({size / 1e6:.1f} MB). Open it in a browser.")


if __name__ == "__main__":
    main()
