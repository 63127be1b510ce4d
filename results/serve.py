"""Serve an exported model on a web page: ``python -m results.serve EXPORT_DIR``."""

from __future__ import annotations

import click

from data.console import Command
from data.io.extras import check_installed

HOST = "127.0.0.1"
"""The server listens on this machine only, because it has no login and no encryption."""


@click.command(cls=Command)
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8000, help="Port; 0 for a free one."
)
@click.option(
    "--max-megabytes",
    metavar="MB",
    type=click.FloatRange(min=0, min_open=True),
    default=50.0,
    help="Maximum size of an upload.",
)
def main(export_dir: str, port: int, max_megabytes: float) -> None:
    """Serve an export on 127.0.0.1: a page for uploading songs, POST /predict, and /openapi.json."""
    check_installed(("fastapi", "uvicorn", "multipart"), "serve")
    import results
    from results.serving.local_socket import listen

    classifier = results.load(export_dir)
    import uvicorn

    from results.serving.app import application

    with listen(HOST, port) as socket:
        click.echo(f"Serving {export_dir} on http://{HOST}:{socket.getsockname()[1]} (press Ctrl-C to stop).")
        app = application(classifier, max_megabytes=max_megabytes)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[socket])


if __name__ == "__main__":
    main()
