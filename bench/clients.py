"""Clients that cost little, so that a measurement is of the server: plain http.client, kept
alive, bodies encoded before the clock starts, each client a process."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any
from urllib.parse import urlsplit

MEETING_SECONDS = 120
meeting: Barrier | None = None


class Script:
    """One training script's connection to a server; it opens when it is needed."""

    def __init__(self, url: str, secret: str, timeout: float = 60) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; OSError or HTTPException when there is no whole answer."""
        return self._send("GET", path, None)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body; OSError or HTTPException when there is no whole answer."""
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def log_path(run_id: object) -> str:
    """Where a run's batches go."""
    return f"/api/v1/runs/{run_id}/log/"


class Group:
    """`work(0, *args)` to `work(count - 1, *args)`, each in a process of its own, while this one
    goes on; `work` may call `meet` to begin when all are ready."""

    def __init__(self, count: int, work: Callable[..., Any], *args: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(count)  # kept: it goes with its last reference here
        self._pool = ProcessPoolExecutor(
            count, context, initializer=_remember, initargs=(self._barrier,)
        )
        self._futures = [self._pool.submit(work, number, *args) for number in range(count)]

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self._futures)

    def results(self) -> list[Any]:
        """What each returned; the first error of one of them is raised."""
        try:
            return [future.result() for future in self._futures]
        finally:
            self._pool.shutdown()


def together(count: int, work: Callable[..., Any], *args: object) -> list[Any]:
    """The results of a Group."""
    return Group(count, work, *args).results()


def meet() -> None:
    """Wait until every process of the Group is here."""
    meeting.wait(MEETING_SECONDS)


def _remember(barrier: Barrier) -> None:
    global meeting
    meeting = barrier
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody waits for the results of a script that was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)
