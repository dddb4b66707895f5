"""Real servers: our own under gunicorn, and PostgreSQL, to be used, stopped and killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection

from exptrack.tests.postgres import PostgresServer
from exptrack.tests.waiting import PATIENCE, kept_port

ROOT = settings.BASE_DIR
# Waits for the end of its input, which comes with the end of our process, even by SIGKILL.
WATCH = 'cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null'


class GunicornServer:
    """ExpTrack as it is served in earnest, on a free port of 127.0.0.1, by a file of deploy/. It is
    gone when the process that started it ends, in whatever way."""

    def __init__(self, config: str = "gunicorn.conf.py", **environment: str) -> None:
        self.config = ROOT / "deploy" / config
        self.environment = os.environ | environment
        self.port, self._kept = kept_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None
        self._watch: subprocess.Popen | None = None
        self._log = settings.DATA_DIR / f"gunicorn-{self.port}.log"

    @property
    def pid(self) -> int | None:
        """The process id of gunicorn's master while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def workers(self) -> list[int]:
        """The process ids of the workers, which a test may kill."""
        return [child.pid for child in psutil.Process(self.pid).children()]

    def start(self) -> GunicornServer:
        """Start it, and return once it answers; RuntimeError with its log if it does not."""
        command = [
            *(sys.executable, "-m", "gunicorn"),
            *("--config", self.config),
            *("--bind", f"127.0.0.1:{self.port}"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._end_watch()
        self._watch = subprocess.Popen(
            ["sh", "-c", WATCH, "sh", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"gunicorn does not start:\n{self.log()}")
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live/", timeout=PATIENCE) as response:
                return response.status == 200
        except OSError:
            return False

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Stop it in order, or as Ctrl-C does; its exit code."""
        if self.pid is not None:
            self._process.send_signal(by)
        return self._process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """Kill the master and every worker at once by SIGKILL."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=PATIENCE)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill it, give its port back, and remove its log."""
        self.kill()
        self._end_watch()
        self._kept.close()
        self._log.unlink(missing_ok=True)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _end_watch(self) -> None:
        """Ended, not left to see the end of its input: the number of a process that is over may be
        another's by then."""
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()


@contextlib.contextmanager
def one_worker_at_a_time(lock: Path) -> Iterator[None]:
    """Hold back pytest-xdist's other workers, with whom this one shares the data folder."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def static_files() -> None:
    """The collected, hashed static files in STATIC_ROOT, as a real server needs them."""
    with one_worker_at_a_time(settings.DATA_DIR / "collecting"):
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            command = [sys.executable, "manage.py", "collectstatic", "--no-input"]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def database_url_of_tests() -> str:
    """A DATABASE_URL for the database that this process's tests use."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return os.environ["DATABASE_URL"].replace("/exptrack?", f"/{name}?")


@pytest.fixture(scope="session")
def one_gunicorn(django_db_setup: None, static_files: None) -> Iterator[GunicornServer]:
    server = GunicornServer(DATABASE_URL=database_url_of_tests())
    yield server
    server.remove()


def found_answering(server: GunicornServer) -> GunicornServer:
    """The server, running, whatever the last test did to it."""
    if server.pid is None or not server.answers():
        server.kill()
        server.start()
    return server


@pytest.fixture
def gunicorn_server(transactional_db: None, one_gunicorn: GunicornServer) -> GunicornServer:
    """A running server on the tests' database."""
    return found_answering(one_gunicorn)


@pytest.fixture(scope="session")
def one_push_server(django_db_setup: None, static_files: None) -> Iterator[GunicornServer]:
    server = GunicornServer("live.conf.py", DATABASE_URL=database_url_of_tests())
    yield server
    server.remove()


@pytest.fixture
def push_server(transactional_db: None, one_push_server: GunicornServer) -> GunicornServer:
    """The push stream's own process on the tests' database."""
    return found_answering(one_push_server)


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL server of this test's own, with fsync, to be stopped or killed."""
    server = PostgresServer(durable=True)
    yield server.start()
    server.remove()
