"""Open streams, and the one thread of a process that looks for all of them.

The thread looks twice a second, with one statement, at everything that any stream watches, and
puts what has changed into the streams' mailboxes; it begins with the first stream and ends with
the last. Where Redis carries word of changes it looks when there is one. What a stream then tells
is worked out from what its reader knows already.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import structlog
from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections

from experiments import live
from experiments.announcing import Listener
from experiments.live import Cursor, Heads, RunNow, Seen, Watch

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
# Looking takes no more than a twentieth of the time, however much is watched.
PAUSE_PER_COST = 20
LONGEST_PAUSE_SECONDS = 10
# With Redis: how soon after one look the next may follow, and how long it may be put off.
SHORTEST_PAUSE_SECONDS, LONGEST_SILENCE_SECONDS = 0.2, 2.0
HEARTBEAT_SECONDS = 8
CHECK_SECONDS = 20  # with a heartbeat's wait on top it stays below 30
WAIT_SECONDS = 1  # of a thread, so that a stop is not held up
MAILBOX_SIZE = 32
LOOK_ONLY = socket.MSG_PEEK | socket.MSG_DONTWAIT
# How soon a browser comes back by itself; not all of them at once.
RETRY_MS = (1_000, 4_000)


class Mailbox:
    """What was found since a stream last looked in. A stream that is too slow to empty it is told
    that it missed something, and looks for itself."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.lock = threading.Lock()
        self.found: list[RunNow] = []
        self.puts = 0

    def put(self, runs: list[RunNow]) -> None:
        with self.lock:
            self.puts += 1
            self.found = [*self.found, *runs] if self.puts <= MAILBOX_SIZE else []
        self.wake()

    def take(self) -> list[RunNow] | None:
        """All of it, in order; None when something was missed."""
        with self.lock:
            found, puts = self.found, self.puts
            self.found, self.puts = [], 0
        return found if puts <= MAILBOX_SIZE else None


class Hub:
    """The streams of a process, and what is known of the runs they watch: of each run as much as
    every one of its streams knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watched: dict[Mailbox, Watch] = {}
        self.cursor: Cursor = {}
        self.experiments: set[uuid.UUID] = set()
        self.thread: threading.Thread | None = None
        self.has_changed = False  # who watches what
        self.is_stopping = False

    def join(self, mailbox: Mailbox, watch: Watch, cursor: Cursor) -> None:
        """Put into this mailbox whatever a reader with this cursor does not know."""
        with self.lock:
            self.watched[mailbox] = watch
            self.has_changed = True
            for run, seen in cursor.items():
                self.cursor[run] = seen.or_less(self.cursor.get(run, seen))
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name="live", daemon=True)
                self.thread.start()

    def leave(self, mailbox: Mailbox) -> None:
        """Put nothing more into this mailbox."""
        with self.lock:
            self.watched.pop(mailbox, None)
            self.has_changed = True

    def stop(self) -> None:
        """End every stream soon. Fit for a signal handler: it takes no lock."""
        self.is_stopping = True

    def run(self) -> None:
        """Look again and again until nobody watches any more."""
        listener = Listener()
        try:
            while not self.is_over():
                begun = time.monotonic()
                self.tick()
                self.rest(listener, time.monotonic() - begun)
        finally:
            listener.close()
            connections.close_all()

    def rest(self, listener: Listener, cost: float) -> None:
        """`pause`, whatever fails in it: the thread is all that its streams have."""
        try:
            self.pause(listener, cost)
        except Exception as error:  # noqa: BLE001
            log.warning("live_pause_failed", error=repr(error))
            time.sleep(TICK_SECONDS)

    def is_over(self) -> bool:
        """Whether the thread has nothing more to do; the next stream then begins a new one."""
        with self.lock:
            if self.watched and not self.is_stopping:
                return False
            self.thread, self.cursor = None, {}
            return True

    def pause(self, listener: Listener, cost: float) -> None:
        """Wait for the next look, the longer the more the last one cost (in seconds)."""
        rest = min(cost * PAUSE_PER_COST, LONGEST_PAUSE_SECONDS)
        if not listener.listen_to(self.experiments):
            time.sleep(max(rest, TICK_SECONDS))
            return
        time.sleep(max(rest, SHORTEST_PAUSE_SECONDS))
        until = time.monotonic() + LONGEST_SILENCE_SECONDS
        while time.monotonic() < until and not self.has_changed:
            if listener.hears_within(WAIT_SECONDS / 4):
                listener.drain()
                return

    def tick(self) -> None:
        """Look once, and tell whom it concerns. Whatever fails, the next look may not."""
        with self.lock:
            self.has_changed = False
            watch, before = union(self.watched.values()), dict(self.cursor)
        try:
            close_old_connections()
            heads = live.read_heads(watch, before)
            runs = live.changed(heads, watch, before)
        except Exception as error:  # noqa: BLE001 - the thread is all that its streams have
            log.warning("live_look_failed", error=repr(error))
            return
        with self.lock:
            self.note(heads, runs, watch, before)
            told = list(self.watched.items())
        for mailbox, watched in told:
            if news := [run for run in runs if watched.covers(run)]:
                mailbox.put(news)

    def note(self, heads: Heads, runs: list[RunNow], watch: Watch, before: Cursor) -> None:
        """Bring the cursor up to date, but for runs where somebody who knows less has joined
        since; forget what nobody watches."""
        self.experiments = {*watch.experiments, *(experiment for experiment, *_ in heads.values())}
        for run in runs:
            seen = before.get(run.id)
            if self.cursor.get(run.id) is seen:
                counts = run.counts(seen and seen.counts)
                self.cursor[run.id] = Seen(run.revision, run.status, counts)
        kept = heads.keys() | watch.runs
        self.cursor = {
            run: seen for run, seen in self.cursor.items() if run in kept or run not in before
        }


def union(watches: Iterable[Watch]) -> Watch:
    """Everything that is watched."""
    watches = list(watches)
    return Watch(
        frozenset().union(*(watch.runs for watch in watches)),
        frozenset().union(*(watch.experiments for watch in watches)),
    )


hub = Hub()


# --- One stream ------------------------------------------------------------------------------


class Stream:
    """What one reader is told, as the bytes of a text/event-stream. `why_not` says why the reader
    may watch this no more (None: may), and is asked at least every 30 s."""

    def __init__(self, watch: Watch, cursor: Cursor, why_not: Callable[[], str | None]) -> None:
        self.watch = watch
        self.cursor = cursor
        self.why_not = why_not
        self.checked_at = time.monotonic()
        self.homes: dict[uuid.UUID, uuid.UUID | None] = {}
        self.is_over = False

    def opening(self, mailbox: Mailbox) -> bytes:
        """What comes first: all that the reader does not know yet."""
        retry = b"retry: %d\n\n" % random.randint(*RETRY_MS)
        return retry + self.catch_up(mailbox)

    def catch_up(self, mailbox: Mailbox) -> bytes:
        """Look for this stream alone, and be told of what follows."""
        told = self.tell(live.look(self.watch, self.cursor, count_all=True))
        hub.join(mailbox, self.watch, self.cursor)
        return told

    def needs_database(self, news: list[RunNow] | None) -> bool:
        """Whether something was missed, it is time to ask whether the reader still may, or a run
        went to another experiment, where that may be different."""
        is_due = time.monotonic() - self.checked_at >= CHECK_SECONDS
        return news is None or is_due or any(self.has_moved(run) for run in news)

    def has_moved(self, run: RunNow) -> bool:
        """Whether it is anywhere but where the reader is known to see it. Of a run that was not
        told of yet, since the reader knew it before, nothing is."""
        is_watched = run.experiment in self.watch.experiments
        return not is_watched and self.homes.get(run.id) != run.experiment

    def checked(self, news: list[RunNow] | None, mailbox: Mailbox) -> bytes:
        """`tell`, when the reader still may; the end, when not."""
        self.checked_at = time.monotonic()
        if reason := self.why_not():
            return self.end(reason)
        return self.catch_up(mailbox) if news is None else self.tell(news)

    def tell(self, runs: list[RunNow]) -> bytes:
        """What these runs have that is new to the reader; a comment when there is nothing, so
        that a broken connection is found out."""
        told = []
        for change in live.changes_since(self.cursor, self.watch, runs):
            self.cursor = change.cursor
            told.append(live.as_event(change.event, change.data, change.cursor))
        self.homes |= {run.id: run.experiment for run in runs}
        if live.has_ended(self.cursor, self.watch):
            told.append(self.end("ended"))
        return b"".join(told) or b": still here\n\n"

    def end(self, reason: str) -> bytes:
        """The last event: `ended`, `signed-out` or `forbidden`."""
        self.is_over = True
        return live.as_event("end", {"reason": reason})


class ThreadedStream:
    """A stream that a thread of the web process sends, to a reader at a socket (None: unknown).
    The thread is needed: a reader who has left is not only found out by what cannot be sent."""

    def __init__(
        self, stream: Stream, reader: socket.socket | None, when_closed: Callable[[], object]
    ) -> None:
        self.stream = stream
        self.reader = reader
        self.when_closed = when_closed
        self.bell = threading.Event()
        self.mailbox = Mailbox(self.bell.set)

    def __iter__(self) -> Iterator[bytes]:
        stream, mailbox = self.stream, self.mailbox
        yield stream.opening(mailbox)
        while not stream.is_over:
            news = self.wait()
            if hub.is_stopping or has_left(self.reader):
                return
            if stream.needs_database(news):
                yield stream.checked(news, mailbox)
                close_old_connections()
            else:
                yield stream.tell(news)

    def wait(self) -> list[RunNow] | None:
        """What has been found, as soon as there is something; [] after a while without."""
        until = time.monotonic() + HEARTBEAT_SECONDS
        while not self.bell.wait(WAIT_SECONDS) and time.monotonic() < until:
            if hub.is_stopping or has_left(self.reader):
                break
        self.bell.clear()
        return self.mailbox.take()

    def close(self) -> None:
        """Whoever serves this calls it in the end, whatever happened."""
        hub.leave(self.mailbox)
        self.when_closed()


def has_left(reader: socket.socket | None) -> bool:
    """Whether the other end of a connection has closed it. A reader sends nothing more, so there
    is nothing to read until then."""
    try:
        return reader is not None and reader.recv(1, LOOK_ONLY) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class AsyncStream:
    """A stream that an event loop sends; thousands of them cost one thread for the database."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.mailbox = Mailbox(lambda: None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream, mailbox = self.stream, self.mailbox
        loop, bell = asyncio.get_running_loop(), asyncio.Event()
        mailbox.wake = lambda: loop.call_soon_threadsafe(bell.set)
        yield await sync_to_async(stream.opening)(mailbox)
        while not stream.is_over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), HEARTBEAT_SECONDS)
            bell.clear()
            news = mailbox.take()
            if stream.needs_database(news):
                yield await sync_to_async(stream.checked)(news, mailbox)
            else:
                yield stream.tell(news)

    def close(self) -> None:
        """Whoever serves this calls it in the end, whatever happened."""
        hub.leave(self.mailbox)
