"""gunicorn's threads with a lane for charts, so that nobody else stands in line behind them.

A chart takes the processor for many milliseconds, a batch hardly any. In one line, a dashboard
that thirty people watch made every training script wait for all of them.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from gunicorn.workers.gthread import TConn, ThreadWorker

# Every address that answers with the points of charts, and no other, ends so.
CHART = re.compile(rb"GET /[^ ?]*series/[ ?]")
BEGIN_BYTES = 200

Handle = Callable[[TConn], object]


class Lanes(ThreadPoolExecutor):
    """So many threads, of which requests for charts take at most `most_drawing`."""

    def __init__(self, threads: int, most_drawing: int) -> None:
        super().__init__(threads)
        self._most_drawing = most_drawing
        self._drawing = 0
        self._waiting: deque[tuple[Future, Handle, TConn]] = deque()
        self._lane = Lock()

    def submit(self, handle: Handle, conn: TConn) -> Future:
        """Handle a connection's next request: at once, or one for a chart when its turn comes."""
        if not asks_for_chart(conn):
            return super().submit(handle, conn)
        done = Future()
        with self._lane:
            self._waiting.append((done, handle, conn))
        self._let_in()
        return done

    def _let_in(self) -> None:
        """Let those who wait in, as far as there is room."""
        with self._lane:
            while self._waiting and self._drawing < self._most_drawing:
                self._drawing += 1
                super().submit(self._draw, *self._waiting.popleft())

    def _draw(self, done: Future, handle: Handle, conn: TConn) -> None:
        try:
            done.set_result(handle(conn))
        except BaseException as error:  # as an executor keeps whatever it was
            done.set_exception(error)
        finally:
            with self._lane:
                self._drawing -= 1
            self._let_in()


def asks_for_chart(conn: TConn) -> bool:
    """Whether the request that a connection brings is for a chart, as far as it is there yet. One
    that has still to come is not kept in line: it may be a stream, which would hold the lane."""
    try:
        begin = conn.sock.recv(BEGIN_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False
    return CHART.match(begin) is not None


class Worker(ThreadWorker):
    """gunicorn's worker with threads, in lanes."""

    def get_thread_pool(self) -> Lanes:
        return Lanes(self.cfg.threads, max(1, self.cfg.threads // 4))
