"""Open Optuna's dashboard on a run: ``python -m results.dashboard RUN``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from data.console import Command
from results.serve import HOST, check_installed
from results.serving.local_socket import is_own_name, listen

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_READING = frozenset({"GET", "HEAD"})


@click.command(cls=Command)
@click.argument("run", metavar="RUN")
@click.option("--runs", metavar="DIR", default="runs", help="Folder of the runs, on this machine.")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8080, help="Port; 0 for a free one."
)
def main(run: str, runs: str, port: int) -> None:
    """Show the study of a RUN, which may be going on, in optuna-dashboard on 127.0.0.1, read-only."""
    check_installed(("optuna_dashboard",), "dashboard")
    from results.evaluation.study import storage
    from search.storage.run_folder import RunFolder

    opened = storage(RunFolder.at(runs, run))
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    from optuna_dashboard import wsgi  # type: ignore[import-untyped]

    class Quiet(WSGIRequestHandler):
        """Without a line on standard error for each request."""

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with listen(HOST, port) as socket:
        server = WSGIServer(socket.getsockname(), Quiet, bind_and_activate=False)
        server.socket.close()
        server.socket = socket
        server.server_name, server.server_port = socket.getsockname()
        server.setup_environ()
        server.set_app(_guarded(wsgi(opened)))
        server.server_activate()
        click.echo(f"Showing {run} on http://{HOST}:{server.server_port} (Ctrl-C ends it).")
        server.serve_forever()


def _guarded(app: WSGIApplication) -> WSGIApplication:
    """Let through what reads, and was asked of this machine by its own name."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_own_name(environ.get("HTTP_HOST", "")):
            reason = f"ask for {HOST} or localhost"
        elif environ["REQUEST_METHOD"] not in _READING:
            reason = "the study is only shown here; its search alone writes it"
        else:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return guarded


if __name__ == "__main__":
    main()
