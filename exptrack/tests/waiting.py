"""What tests wait for. A quick machine never waits as long as is allowed here."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable

# Of a machine with many times our work to do. A test that hangs is told by faulthandler.
PATIENCE = 120  # seconds


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread or process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def kept_port() -> tuple[int, socket.socket]:
    """A free port of 127.0.0.1, and what keeps it free as long as it is open: a server of ours can
    listen there, also again and again, while the system gives the port to nobody who asks for any,
    neither to another test's server nor to a client."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port = kept.getsockname()[1]
    if sys.platform != "linux":  # elsewhere it would keep our server out as well
        kept.close()
    return port, kept
