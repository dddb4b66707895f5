"""From memory to the spool: one background thread a run that writes down what was logged.

The sender takes from the spool and never from memory, unless there is no room on the disk: then
one request at a time is held in memory, under the name of a writer of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from exptrack_client.folder import usable_folder
from exptrack_client.names import uuid7
from exptrack_client.notices import Notices
from exptrack_client.points import PointQueue, metrics_json
from exptrack_client.records import END, LOG, Record
from exptrack_client.spool import Spool, log_body
from exptrack_client.transport import reason

BATCH_POINTS = 10_000
# What is logged is written down this often, in seconds: a process that is killed loses no more.
RECORD_EVERY = 0.2
# A file beyond this size is written only each second: small records need more room for a point.
SELDOM_ABOVE = 64 * 1024 * 1024
SELDOM = 1.0
SYNC_EVERY = 5.0
TRY_DISK_EVERY = 5.0
NAMES_A_REQUEST = 500
BYTES_A_REQUEST = 1024 * 1024


class Changes:
    """Params and tags that wait to be recorded. A tag set again meanwhile is sent once."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, object]] = {"params": {}, "tags": {}}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def add(self, kind: str, values: dict[str, object]) -> None:
        """Queue values; `kind` is "params" or "tags"."""
        with self._lock:
            self._waiting[kind].update(values)

    def take(self) -> tuple[str, dict[str, object]] | None:
        """The next request's kind and values, no longer queued; None when there is none."""
        with self._lock:
            for kind, waiting in self._waiting.items():
                if waiting:
                    return kind, self._some(waiting)
        return None

    @staticmethod
    def _some(waiting: dict[str, object]) -> dict[str, object]:
        """Remove and return the first values that fit into one request."""
        taken: dict[str, object] = {}
        size = 0
        for name in list(waiting)[:NAMES_A_REQUEST]:
            size += len(json.dumps(waiting[name]))
            if taken and size > BYTES_A_REQUEST:
                break
            taken[name] = waiting.pop(name)
        return taken


class Piece(NamedTuple):
    """One record to be: its kind, a body without writer and number, and how many points."""

    kind: bytes
    rest: str
    points: int


class Outbox:
    """Takes what is queued, puts it into a spool, and hands it out until it is confirmed."""

    def __init__(
        self,
        *,
        run_id: str,
        url: str,
        queue: PointQueue,
        changes: Changes,
        opening: Callable[[], dict] | None,
    ) -> None:
        """`opening` makes the body that creates the run; None when another process did."""
        self.delivered = 0  # points confirmed
        self.refused = 0  # points the server will not take
        self.opening: dict = {}
        self.is_ready = threading.Event()  # `opening` is known
        self.is_sealed = threading.Event()  # everything up to the end is written, or cannot be
        self.news = threading.Event()  # there is something to send
        self.most_points = BATCH_POINTS
        self.spool: Spool | None = None
        self.fault = ""  # why nothing can be written down; "" when it can
        self._run_id = run_id
        self._url = url
        self._queue = queue
        self._changes = changes
        self._make_opening = opening
        self._ending: dict | None = None
        self._is_end_cut = False
        self._held: Record | None = None
        self._held_piece: Piece | None = None
        self._is_held_seen = False  # it may have been sent: only its own name is safe for it
        self._memory_writer, self._memory_seq = "", 0
        self._recorded_at = self._synced_at = self._tried_at = 0.0
        self._notices = Notices()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._work, name="exptrack-spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, ending: dict) -> None:
        """Write down everything, then this end; {} when the run goes on elsewhere."""
        self._ending = ending
        self._queue.wake.set()

    @property
    def in_spool(self) -> int:
        """Points that wait in the file, where the end of this process does not touch them."""
        return self.spool.points if self.spool else 0

    # --- The sender's side --------------------------------------------------------------------

    def next(self, everything: bool) -> Record | None:
        """The record to send now. What was never written down is taken from memory, if enough
        waits or `everything` is to go."""
        with self._lock:
            record = self.spool.first() if self.spool else None
            if record is not None:
                return record
            if self._held is None and self._is_stuck:
                piece = self._cut(everything)
                if piece is not None:
                    self._hold(piece)
            self._is_held_seen = self._held is not None
            return self._held

    def following(self, record: Record) -> Record | None:
        """The record behind one that `next` gave; None when that is held in memory."""
        return None if record is self._held else self.spool.following(record)

    def confirm(self, record: Record, points: int) -> None:
        """The record `next` gave is dealt with; so many of its points are stored."""
        with self._lock:
            if record is self._held:
                self._held = self._held_piece = None
            else:
                self.spool.confirm(record)
        self.delivered += points

    def go_to(self, seq: int) -> int:
        """Go on with the record of this number, or the next there is; returns its number."""
        if self._held is not None or self.spool is None:
            return self._held.seq if self._held else seq
        before = self.spool.points
        found = self.spool.go_to(seq)
        self.delivered -= self.spool.points - before
        return found

    # --- The thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        self._begin()
        while not self.is_sealed.is_set():
            ending = self._ending
            try:
                self.gather(everything=ending is not None)
            except Exception as defect:  # a defect of ours must not end recording in silence
                self._give_up(defect)
            self._sync(now=ending is not None)
            if ending is not None:
                self.is_sealed.set()
                self.news.set()
            else:
                self._queue.wake.wait(RECORD_EVERY)
                self._queue.wake.clear()

    def _begin(self) -> None:
        """Find out where this runs, and begin the file."""
        try:
            self.opening = self._make_opening() if self._make_opening else {}
            with self._lock:
                self._create()
        except Exception as defect:
            self._give_up(defect)
        self.is_ready.set()

    def _create(self) -> None:
        self.spool = Spool.create(
            usable_folder(), run_id=self._run_id, url=self._url, opening=self.opening
        )

    def _sync(self, now: bool) -> None:
        """Now and then have the disk hold what was written, against a loss of power."""
        is_due = monotonic() - self._synced_at > SYNC_EVERY
        if self.spool is not None and (now or is_due):
            self._synced_at = monotonic()
            self.spool.sync()

    def gather(self, everything: bool) -> None:
        """Write down what waits: full batches, and the rest when it is due."""
        with self._lock:
            if self._is_stuck and not self._try_again():
                return
            while (piece := self._cut(everything)) is not None:
                try:
                    self.spool.append(*piece)
                except OSError as error:
                    self._hold(piece)
                    self._give_up(error)
                    return
                self._recover()
                self.news.set()

    def _cut(self, everything: bool) -> Piece | None:
        """The next piece of what waits in memory; None when nothing is due."""
        if (change := self._changes.take()) is not None:
            kind, values = change
            return Piece(LOG, f'"{kind}":{json.dumps(values)}', 0)
        is_long = self.spool is not None and self.spool.size > SELDOM_ABOVE
        pause = SELDOM if is_long else RECORD_EVERY
        due = everything or monotonic() - self._recorded_at >= pause
        if self._queue.waiting >= (1 if due else self.most_points):
            self._recorded_at = monotonic()
            rows = self._queue.take(self.most_points)
            return Piece(LOG, f'"metrics":{metrics_json(rows)}', sum(row[0].count for row in rows))
        if everything and self._ending and not self._is_end_cut:
            self._is_end_cut = True
            return Piece(END, json.dumps(self._ending), 0)
        return None

    # --- Without room on the disk -------------------------------------------------------------

    @property
    def _is_stuck(self) -> bool:
        """Whether nothing can be written down at the moment."""
        return self.spool is None or bool(self.fault)

    def _hold(self, piece: Piece) -> None:
        """Keep a piece in memory, to be sent after all that the file holds."""
        if not self._memory_writer:
            self._memory_writer = str(uuid7())
        self._memory_seq += 1
        writer, seq = self._memory_writer, self._memory_seq
        kind, rest, points = piece
        body = log_body(writer, seq, rest) if kind == LOG else rest.encode()
        self._held, self._held_piece = Record(writer, kind, seq, points, body), piece
        self._is_held_seen = False
        self.news.set()

    def _give_up(self, error: BaseException) -> None:
        """Go on in memory; said once, since it comes back by itself."""
        self.fault = reason(error)
        self._tried_at = monotonic()
        self._notices.once(
            "disk",
            f"nothing can be written to the spool: {self.fault}. Training goes on; what it logs "
            "is kept in memory until it is sent.",
        )

    def _recover(self) -> None:
        """Something was written."""
        if self.fault:
            self.fault = ""
            self._notices.once("disk", "the spool can be written again.")

    def _try_again(self) -> bool:
        """Whether to try to write again. What is held goes first; once it may have been sent, it
        has to arrive before anything newer is written down."""
        if self._held is not None and self._is_held_seen:
            return False
        if monotonic() - self._tried_at < TRY_DISK_EVERY and self._ending is None:
            return False
        self._tried_at = monotonic()
        try:
            if self.spool is None:
                self._create()
            if self._held_piece is not None:
                self.spool.append(*self._held_piece)
        except OSError:
            return False
        self._recorded_at = 0.0  # what waits is due: it shows whether there is room
        if self._held is not None:
            self._held = self._held_piece = None
            self._memory_seq -= 1  # never seen: its number is free
            self._recover()
        return True


def where(folder_or_file: Path) -> str:
    """A path as a person would type it."""
    text, home = str(folder_or_file), str(Path.home())
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") else text
