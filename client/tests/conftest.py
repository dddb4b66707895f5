"""Every test here talks to a real server: ExpTrack under gunicorn, on the tests' database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exptrack_client import lifecycle
from exptrack_client.run import Run

from exptrack.tests.waiting import PATIENCE

from .faults import Wire

# The SDK gives up soon, lest training waits for it. Tests that ask what arrives wait longer.
PATIENT = {
    "start": ("OPEN_SECONDS", "RESUME_SECONDS"),
    "sender": ("PATIENCE_FOR_A_STRANGER",),
    "lifecycle": ("SIGTERM_PATIENCE", "EXIT_PATIENCE"),
    "run": ("FINISH_PATIENCE",),
}
# Between attempts it waits longer than tests can afford; what it waits for stays the same.
QUICK = {
    "transport.FIRST_WAIT": 0.05,
    "sender.SEND_EVERY": 0.1,
    "sender.LONGEST_WAIT_AT_THE_END": 0.2,
}
# Scripts can be run by another Python than the tests: EXPTRACK_TEST_PYTHON=python3.9
PYTHON = os.environ.get("EXPTRACK_TEST_PYTHON", sys.executable)
SOURCE = Path(__file__).resolve().parent.parent / "src"


class Tracker:
    """A live server, and what it has stored."""

    def __init__(self, server: object, script: object) -> None:
        self.server = server
        self.url = server.url
        self.token = script.secret
        self._script = script

    def run(self, run_id: str) -> dict:
        return self._script.get(f"/api/v1/runs/{run_id}/").json()

    def summaries(self, run_id: str) -> dict[str, dict]:
        answer = self._script.get(f"/api/v1/runs/{run_id}/metrics/").json()
        return {series["name"]: series for series in answer["results"]}

    def points(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of every point, in the order stored."""
        found, after = [], 0
        while after is not None:
            query = {"metric": metric, "after": after, "limit": 100_000}
            answer = self._script.get(f"/api/v1/runs/{run_id}/history/", query).json()
            piece = answer["metrics"][metric]
            values = [float(value) for value in piece["values"]]
            found += zip(piece["steps"], values)
            after = piece["next"]
        return found

    def runs(self) -> list[dict]:
        return self._script.get("/api/v1/runs/").json()["results"]


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> None:
    """How long the SDK waits in this process."""
    for module, names in PATIENT.items():
        for name in names:
            monkeypatch.setattr(f"exptrack_client.{module}.{name}", PATIENCE)
    monkeypatch.setitem(Run.finish.__kwdefaults__, "timeout", PATIENCE)
    for name, seconds in QUICK.items():
        monkeypatch.setattr(f"exptrack_client.{name}", seconds)


@pytest.fixture(autouse=True)
def spool(tmp_path, monkeypatch) -> Path:
    """The folder of this test's spools; nothing of the developer's own is read or written."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("EXPTRACK_SPOOL", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture
def tracker(gunicorn_server, alice, api, monkeypatch) -> Iterator[Tracker]:
    """The server the SDK's environment points to; runs left open by a test are ended."""
    tracker = Tracker(gunicorn_server, api(alice))
    monkeypatch.setenv("EXPTRACK_URL", tracker.url)
    monkeypatch.setenv("EXPTRACK_TOKEN", tracker.token)
    yield tracker
    lifecycle.end_all("killed", "", 5)
    end_senders()


def end_senders() -> None:
    """End what still tries to deliver, as the end of its process would: it would speak up in
    another test."""
    for thread in threading.enumerate():
        if thread.name == "exptrack":
            sender = thread._target.__self__
            sender.done.set()
            sender.outbox.news.set()
            thread.join(PATIENCE)


@pytest.fixture
def wire(tracker, monkeypatch) -> Iterator[Wire]:
    """The same server behind a wire with faults."""
    wire = Wire(tracker.url)
    monkeypatch.setenv("EXPTRACK_URL", wire.url)
    yield wire
    lifecycle.end_all("killed", "", 5)
    end_senders()
    wire.close()


@pytest.fixture
def start_script(tracker) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a training script of its own process: `start_script("...code...")`."""
    started = []
    patient = "".join(
        f"import exptrack_client.{module}; exptrack_client.{module}.{name} = {PATIENCE}\n"
        for module, names in PATIENT.items()
        for name in names
    )

    def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [PYTHON, "-c", patient + code, *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
