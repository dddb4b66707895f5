"""Every test here talks to a real server: ExpTrack under gunicorn, on the tests' database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exptrack_client import lifecycle

from .faults import Wire

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


@pytest.fixture
def wire(tracker, monkeypatch) -> Iterator[Wire]:
    """The same server behind a wire with faults."""
    wire = Wire(tracker.url)
    monkeypatch.setenv("EXPTRACK_URL", wire.url)
    yield wire
    lifecycle.end_all("killed", "", 5)
    wire.close()


@pytest.fixture
def start_script(tracker) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a training script of its own process: `start_script("...code...")`."""
    started = []

    def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [PYTHON, "-c", code, *arguments],
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
