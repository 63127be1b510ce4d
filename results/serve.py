"""Serve an exported model on a web page: ``python -m results.serve EXPORT_DIR``."""

from __future__ import annotations

import os

import click

from data.console import Command
from results.serving.limits import Limits
from results.serving.local_socket import LOOPBACK, listen

_GRACE_S = 30
"""Seconds that running predictions get when the server is stopped."""


@click.command(cls=Command, extra="serve")
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8000, help="Port; 0 for a free one."
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default=LOOPBACK,
    help="Address to listen on. There is no login: use another only in a container or behind a proxy.",
)
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    help="Also accept requests under this host name; can be repeated.",
)
@click.option(
    "--max-megabytes",
    metavar="MB",
    type=click.FloatRange(min=0, min_open=True),
    default=200.0,
    help="Maximum size of an upload.",
)
@click.option(
    "--max-minutes",
    metavar="MINUTES",
    type=click.FloatRange(min=0, min_open=True),
    default=15.0,
    help="Maximum length of a song.",
)
@click.option(
    "--max-requests",
    metavar="N",
    type=click.IntRange(1, 40),
    default=32,
    help="Predictions at once, running and waiting; more are refused with status 503.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(0),
    default=None,
    help="Processes that decode and analyse songs; 0 uses the server's own process.  [default: all cores]",
)
@click.option(
    "--min-confidence",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Answer 'unsure' if the probability of the most likely genre is below P.",
)
def main(
    export_dir: str,
    port: int,
    host: str,
    allow_host: tuple[str, ...],
    max_megabytes: float,
    max_minutes: float,
    max_requests: int,
    workers: int | None,
    min_confidence: float,
) -> None:
    """Serve an export: a page for songs, POST /predict, /model, /healthz, /metrics and /openapi.json."""
    import results

    model = results.load(export_dir)
    import uvicorn

    from results.serving.app import application
    from results.serving.model_summary import ModelSummary

    app = application(
        model,
        ModelSummary.of(export_dir, model),
        limits=Limits(max_megabytes, max_minutes, max_requests),
        workers=(os.cpu_count() or 1) if workers is None else workers,
        min_confidence=min_confidence,
        allowed_hosts=allow_host,
    )
    with listen(host, port) as socket:
        click.echo(f"Serving {export_dir} on http://{host}:{socket.getsockname()[1]} (press Ctrl-C to stop).")
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE_S)
        uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    main()
