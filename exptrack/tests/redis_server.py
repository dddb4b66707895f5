"""A real Redis: Debian's, on a free port, to be stopped, hung and killed.

Tests that ask for `redis_server` skip without one, loudly; under CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from exptrack.tests.waiting import PATIENCE, kept_port, wait_until

REDIS = shutil.which("redis-server")
WITHOUT_REDIS = "No redis-server on this machine (`make test` as root installs it)."


class RedisServer:
    """A Redis that keeps nothing on disk."""

    def __init__(self) -> None:
        self.port, self._kept = kept_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen | None = None

    def start(self) -> RedisServer:
        """Start it, and return once it takes connections."""
        options = f"--port {self.port} --bind 127.0.0.1 --daemonize no --save".split()
        self.process = subprocess.Popen(
            [REDIS, *options, ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.takes_connections)
        return self

    def takes_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """Kill it at once."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def remove(self) -> None:
        """Kill it, and give its port back."""
        self.kill()
        self._kept.close()

    def hang(self) -> None:
        """Let it take connections and never answer."""
        self.process.send_signal(signal.SIGSTOP)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running Redis of this test's own."""
    if REDIS is None:
        if os.environ.get("CI") == "true":
            pytest.fail(WITHOUT_REDIS)
        pytest.skip(WITHOUT_REDIS)
    server = RedisServer().start()
    yield server
    server.remove()
