from __future__ import annotations

import socket

import pytest

from data.errors import SettingsError
from results.serving.local_socket import listen


def test_whoever_is_told_the_address_is_not_refused() -> None:
    with listen("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        # Nobody answers yet: that comes when the server has started.
        socket.create_connection(address, timeout=10).close()
        with pytest.raises(SettingsError, match=rf"--port {address[1]}: .*in use"), listen(*address):
            pass
