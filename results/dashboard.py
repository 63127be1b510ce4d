"""Open Optuna's dashboard on a run: ``python -m results.dashboard RUN``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from data.console import Command
from results.serving.local_socket import LOOPBACK, OWN_NAMES, host_name, listen

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_READ_METHODS = frozenset({"GET", "HEAD"})


@click.command(cls=Command, extra="dashboard")
@click.argument("run", metavar="RUN")
@click.option("--runs", metavar="DIR", default="runs", help="Folder of the runs, on this machine.")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8080, help="Port; 0 for a free one."
)
def main(run: str, runs: str, port: int) -> None:
    """Show the study of a finished or running RUN in optuna-dashboard on 127.0.0.1, read-only."""
    from results.evaluation.study import storage
    from search.storage.run_folder import RunFolder

    study_storage = storage(RunFolder.at(runs, run))
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    from optuna_dashboard import wsgi  # type: ignore[import-untyped]

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
        server.set_app(_read_only(wsgi(study_storage)))
        server.server_activate()
        click.echo(f"Showing {run} on http://{LOOPBACK}:{server.server_port} (press Ctrl-C to stop).")
        server.serve_forever()


def _read_only(app: WSGIApplication) -> WSGIApplication:
    """Pass on read requests that address this machine by its own name; refuse all others."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if host_name(environ.get("HTTP_HOST", "")) not in OWN_NAMES:
            reason = f"open {LOOPBACK} or localhost"
        elif environ["REQUEST_METHOD"] not in _READ_METHODS:
            reason = "the study is read-only here; only its search writes to it"
        else:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return respond


if __name__ == "__main__":
    main()
