"""Show an exported model on a page: ``python -m results.serve EXPORT_DIR``."""

from __future__ import annotations

import importlib.util

import click

from data.console import Command
from data.errors import SettingsError

HOST = "127.0.0.1"
"""Only this machine is served: there is no login and no encryption."""


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
    help="Greatest size of an upload.",
)
def main(export_dir: str, port: int, max_megabytes: float) -> None:
    """Serve an export on 127.0.0.1: a page to drop songs on, POST /predict, and /openapi.json."""
    check_installed(("fastapi", "uvicorn", "multipart"), "serve")
    import results
    from results.serving.local_socket import listen

    classifier = results.load(export_dir)
    import uvicorn

    from results.serving.app import application

    with listen(HOST, port) as socket:
        click.echo(f"Serving {export_dir} on http://{HOST}:{socket.getsockname()[1]} (Ctrl-C ends it).")
        app = application(classifier, max_megabytes=max_megabytes)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[socket])


def check_installed(modules: tuple[str, ...], extra: str) -> None:
    """Tell which extra to install where a module is missing.

    Raises
    ------
    SettingsError
        If one is missing.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} not installed; run: pip install 'genre-search[{extra}]'")


if __name__ == "__main__":
    main()
