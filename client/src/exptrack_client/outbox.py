"""Batches of one writer on their way to the server: numbered, in order, each applied once.

A writer numbers its batches 1, 2, 3 … The server applies `last + 1`, answers a repeat as a
duplicate and refuses a gap, so the same bytes may be sent until an answer comes.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Sequence

from exptrack_client.points import PointQueue, Row, metrics_json
from exptrack_client.transport import packed, unpacked

BATCH_POINTS = 10_000
# Confirmed batches kept in case the server goes back behind them (a restored or lost database).
HISTORY_BYTES = 4 * 1024 * 1024
METRICS = ',"metrics":'


class Batch:
    """One request's worth of points. `rows` are kept while the batch may have to be split."""

    __slots__ = ("body", "points", "rows", "seq")

    def __init__(self, seq: int, body: bytes, points: int, rows: Sequence[Row]) -> None:
        self.seq = seq
        self.body = body
        self.points = points
        self.rows = rows


class Outbox:
    """Takes rows from a queue and holds them as batches until the server confirmed them."""

    def __init__(self, queue: PointQueue) -> None:
        self.delivered = 0  # points confirmed
        self.refused = 0  # points the server will not take
        self.writer = str(uuid.uuid4())
        self._queue = queue
        self._confirmed_seq = 0
        self._most_points = BATCH_POINTS
        self._unconfirmed: deque[Batch] = deque()
        self._history: deque[Batch] = deque()
        self._history_bytes = 0

    def next_batch(self, everything: bool) -> Batch | None:
        """The batch to send now: the one not confirmed yet, or a new one once enough points
        wait, or as soon as any does when `everything` is to go."""
        if not self._unconfirmed:
            if self._queue.waiting < (1 if everything else self._most_points):
                return None
            rows = self._queue.take(self._most_points)
            points = sum(row[0].count for row in rows)
            self._add(f"{metrics_json(rows)}}}", points, rows)
        return self._unconfirmed[0]

    def confirm(self) -> None:
        """The first batch is stored for good."""
        batch = self._unconfirmed.popleft()
        batch.rows = ()
        self._confirmed_seq = batch.seq
        self.delivered += batch.points
        self._history.append(batch)
        self._history_bytes += len(batch.body)
        while self._history_bytes > HISTORY_BYTES:
            self._history_bytes -= len(self._history.popleft().body)

    def refuse(self) -> Batch:
        """The first batch will never be taken; it is returned and given up, its number free."""
        batch = self._unconfirmed.popleft()
        self.refused += batch.points
        self._renumber()
        return batch

    def split(self) -> bool:
        """Go on with smaller batches, since the first one is too large; False when it cannot be
        made smaller."""
        batch = self._unconfirmed[0]
        if len(batch.rows) < 2:
            return False
        self._unconfirmed.popleft()
        self._most_points = max(batch.points // 2, 1)
        self._queue.put_back(batch.rows)
        self._renumber()
        return True

    def rewind(self, expected: object) -> int:
        """The server asks for batch `expected`: go back to it and send the same bytes again.
        Where it is no longer held, go on as another writer with what is; returns how many
        batches that the server had confirmed neither side has any more."""
        if not isinstance(expected, int):
            self.become_another_writer()
            return 0
        while self._history and self._history[-1].seq >= expected:
            batch = self._history.pop()
            self._history_bytes -= len(batch.body)
            self.delivered -= batch.points
            self._unconfirmed.appendleft(batch)
        self._confirmed_seq = expected - 1
        missing = self._unconfirmed[0].seq - expected
        if missing:
            self.become_another_writer()
        return max(missing, 0)

    def become_another_writer(self) -> None:
        """Number what is unconfirmed from 1 on, under a new name."""
        self.writer = str(uuid.uuid4())
        self._history.clear()
        self._history_bytes = 0
        self._confirmed_seq = 0
        self._renumber()

    def _renumber(self) -> None:
        """Give the unconfirmed batches the numbers after the last confirmed one."""
        waiting, self._unconfirmed = self._unconfirmed, deque()
        for batch in waiting:
            metrics = unpacked(batch.body).partition(METRICS)[2]
            self._add(metrics, batch.points, batch.rows)

    def _add(self, metrics: str, points: int, rows: Sequence[Row]) -> None:
        """Append a batch; `metrics` is the rest of its body."""
        seq = self._confirmed_seq + len(self._unconfirmed) + 1
        body = packed(f'{{"writer":"{self.writer}","seq":{seq}{METRICS}{metrics}')
        self._unconfirmed.append(Batch(seq, body, points, rows))
