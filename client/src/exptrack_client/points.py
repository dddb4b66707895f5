"""Logged points on their way: packed rows in a bounded queue, then columns in a batch.

A row is one `log()` call, its values packed as float64: one C call, a fifth of the memory of
Python floats, and columns by slicing.
"""

from __future__ import annotations

import json
import struct
import threading
from array import array
from collections import deque
from collections.abc import Iterable, Sequence

from exptrack_client.names import INT64_MAX

# What a row costs beside its values: a tuple, a bytes object, two integers, a place in the queue.
ROW_BYTES = 190


class Shape:
    """The metrics of one `log()` call, by name, in order."""

    __slots__ = ("bytes", "count", "key_set", "names", "pack")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.key_set = frozenset(names)
        self.count = len(self.names)
        self.bytes = ROW_BYTES + 8 * self.count
        self.pack = struct.Struct(f"={self.count}d").pack


Row = tuple  # (Shape, bytes of float64[shape.count], step, milliseconds since the epoch)


class PointQueue:
    """Rows in the order they were logged, up to a number of bytes; also counts the steps.

    Many threads put, one takes. Past the bound new rows are dropped and counted: what is held
    stays whole and in order.
    """

    def __init__(self, most_bytes: int, wake_at: int) -> None:
        self.logged = 0  # points ever taken in
        self.dropped = 0  # points refused for want of room
        self.next_step = 0
        self.wake = threading.Event()  # set once when the points waiting reach `wake_at`
        self._wake_at = wake_at
        self._most_bytes = most_bytes
        self._bytes = 0  # ever taken in
        # Only the thread that takes writes these. It never holds the lock, so log() cannot come
        # to wait for a thread that a busy machine has put to sleep.
        self._points_gone = self._bytes_gone = 0
        self._rows: deque[Row] = deque()
        # Reentrant: a signal handler may log while this thread is inside put().
        self._lock = threading.RLock()

    @property
    def waiting(self) -> int:
        """Points held now."""
        return self.logged - self._points_gone

    def put(self, shape: Shape, values: bytes, step: int | None, time: int) -> bool:
        """Take in one row, under the next step if it has none; False when there is no room."""
        with self._lock:
            if step is None:
                step = self.next_step
            if step >= self.next_step:
                self.next_step = step + 1 if step < INT64_MAX else step
            if self._bytes - self._bytes_gone + shape.bytes > self._most_bytes:
                self.dropped += shape.count
                return False
            self._bytes += shape.bytes
            self._rows.append((shape, values, step, time))
            self.logged += shape.count
            waiting = self.logged - self._points_gone
        if waiting - shape.count < self._wake_at <= waiting:
            self.wake.set()
        return True

    def continue_after(self, step: int) -> None:
        """Let the counter go on after `step`, unless it is further already."""
        with self._lock:
            self.next_step = min(max(self.next_step, step + 1), INT64_MAX)

    def take(self, most_points: int) -> list[Row]:
        """The oldest rows, at most so many points but at least one row, if there is one."""
        rows, points, size = [], 0, 0
        while self._rows:
            shape = self._rows[0][0]
            if rows and points + shape.count > most_points:
                break
            rows.append(self._rows.popleft())
            points += shape.count
            size += shape.bytes
        self._points_gone += points
        self._bytes_gone += size
        return rows


def metrics_json(rows: Iterable[Row]) -> str:
    """Rows as the API's `metrics`: per name, in the order logged, columns of steps, times and
    values. Steps and times that metrics share are written once and copied as text."""
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for block in blocks(rows):
        shape = block[0][0]
        steps = numbers_json([row[2] for row in block])
        times = numbers_json([row[3] for row in block])
        values = array("d")
        values.frombytes(b"".join([row[1] for row in block]))
        for place, name in enumerate(shape.names):
            column = numbers_json(values[place :: shape.count].tolist())
            columns.setdefault(name, []).append((steps, times, column))
    return f"{{{','.join(series_json(name, pieces) for name, pieces in columns.items())}}}"


def series_json(name: str, pieces: list[tuple[str, str, str]]) -> str:
    """One entry of `metrics`, from the texts of its columns."""
    steps, times, values = (",".join(texts) for texts in zip(*pieces))
    return f'{json.dumps(name)}:{{"steps":[{steps}],"times":[{times}],"values":[{values}]}}'


def blocks(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one shape together, as far as no metric's points change their order."""
    found: list[list[Row]] = []
    growing: dict[Shape, list[Row]] = {}
    for row in rows:
        block = growing.get(row[0])
        if block is None:
            block = []
            found.append(block)
            for shape in [s for s in growing if not s.key_set.isdisjoint(row[0].key_set)]:
                del growing[shape]
            growing[row[0]] = block
        block.append(row)
    return found


def numbers_json(numbers: list) -> str:
    """The inside of a JSON list of numbers; those that are not finite as the API's texts."""
    text = encode_list(numbers)[1:-1]
    if "n" in text or "N" in text:  # Infinity and NaN, and nothing else, hold an n
        text = text.replace("NaN", '"NaN"').replace("Infinity", '"Infinity"')
        text = text.replace('-"Infinity"', '"-Infinity"')
    return text


encode_list = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
