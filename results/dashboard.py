"""Open Optuna's dashboard on a run: ``python -m results.dashboard RUN``."""

from __future__ import annotations

import click

from data.console import Command
from results.serving.local_socket import LOOPBACK, listen


@click.command(cls=Command, extra="dashboard")
@click.argument("run", metavar="RUN")
@click.option("--runs", metavar="DIR", default="runs", help="Folder of the runs, on this machine.")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8080, help="Port; 0 for a free one."
)
def main(run: str, runs: str, port: int) -> None:
    """Show the study of a finished or running RUN in optuna-dashboard on 127.0.0.1, read-only."""
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    from results.serving.study_dashboard import dashboard_app
    from search.storage.run_folder import RunFolder

    app = dashboard_app(RunFolder.at(runs, run))

    class QuietHandler(WSGIRequestHandler):
        """A request handler that logs nothing."""

        def log_message(self, *_: object) -> None:
            """Ignore the log message."""

    with listen(LOOPBACK, port) as socket:
        server = WSGIServer(socket.getsockname(), QuietHandler, bind_and_activate=False)
        server.socket.close()
        server.socket = socket
        server.server_name, server.server_port = socket.getsockname()
        server.setup_environ()
        server.set_app(app)
        server.server_activate()
        click.echo(f"Showing {run} on http://{LOOPBACK}:{server.server_port} (press Ctrl-C to stop).")
        server.serve_forever()


if __name__ == "__main__":
    main()
