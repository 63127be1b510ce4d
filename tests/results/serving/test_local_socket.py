from __future__ import annotations

import socket

import pytest

from data.errors import SettingsError
from results.serving.local_socket import listen


def test_clients_can_connect_as_soon_as_the_port_is_known() -> None:
    with listen("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        # No response yet, because the server has not started.
        socket.create_connection(address, timeout=10).close()
        with pytest.raises(SettingsError, match=rf"--port {address[1]}: .*in use"), listen(*address):
            pass
