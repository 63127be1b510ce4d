"""A socket to serve on, or one clear line why there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from data.errors import SettingsError

_NAMES = ("127.0.0.1", "localhost")


def is_own_name(host: str) -> bool:
    """Whether a request's ``Host`` is one of this machine's own names.

    Pages of other sites reach what listens here by a name of theirs that leads to this machine.
    """
    return host.partition(":")[0].lower() in _NAMES


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port; 0 is a free one.

    Raises
    ------
    SettingsError
        If it is taken or not allowed.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            # From here on whoever is told the address waits, where he would have been refused.
            bound.listen()
        except OSError as error:
            raise SettingsError(
                f"--port {port}: {error.strerror}; name another, or 0 for a free one"
            ) from error
        yield bound
