"""Write an HTML report of searches: ``python -m results.report RUN...``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from data.console import Command

if TYPE_CHECKING:
    from results.reporting.listening import AudioChoice


@click.command(cls=Command, extra="search")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--out", metavar="FILE.html", default="report.html", help="File to write.")
@click.option(
    "--audio",
    type=click.Choice(["clips", "none"]),
    default="clips",
    help="Embed ten seconds of each confused track that is shown, at most 4 MB in all.",
)
def main(names: tuple[str, ...], runs: str, out: str, audio: AudioChoice) -> None:
    """Write a report of one or several RUNs as one HTML file that works offline."""
    from results.reporting.page import write_report

    size = write_report(runs, list(dict.fromkeys(names)), out, audio=audio).stat().st_size
    click.echo(f"Wrote {out} ({size / 1e6:.1f} MB). Open it in a browser.")


if __name__ == "__main__":
    main()
