"""A listening socket, with a one-line error if the port cannot be used."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import SettingsError

LOOPBACK = "127.0.0.1"
"""Address that only this machine reaches; the servers have no login and no encryption."""
OWN_NAMES = frozenset({LOOPBACK, "localhost"})
"""Host names of this machine. Other sites can reach a local server through a host name of theirs that
resolves to this machine (DNS rebinding), so the server refuses every other name."""


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header or an origin, in lower case and without the port."""
    return host.partition(":")[0].lower()


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port; 0 selects a free one.

    Raises
    ------
    SettingsError
        If the port is in use or not permitted.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            # Clients that connect before the server has started wait instead of being refused.
            bound.listen()
        except OSError as error:
            raise SettingsError(
                f"--port {port}: {error.strerror}; name another, or 0 for a free one"
            ) from error
        yield bound
