"""A real Redis: Debian's, on a free port, to be stopped, hung and killed.

Tests that ask for `redis_server` skip without one, loudly; under CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

REDIS = shutil.which("redis-server")
WITHOUT_REDIS = "No redis-server on this machine (`make test` as root installs it)."


class RedisServer:
    """A Redis that keeps nothing on disk."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen | None = None

    def start(self) -> RedisServer:
        """Start it, and return once it takes connections."""
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        self.process = subprocess.Popen(
            [REDIS, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it at once."""
        self.process.kill()
        self.process.wait(10)

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
    server.kill()
